package walk

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func createMain(ctx context.Context, w *Walk) error {
	w.main = cluster{Group: "walk", Name: "prod", Subnet: w.subnets["aks"]}
	return w.create(ctx, &w.main, "--docker-bridge-address", "172.17.0.1/16", "--dns-service-ip", "10.2.0.10", "--service-cidr", "10.2.0.0/24",
		"--node-count", strconv.Itoa(w.Nodes))
}

func createTwin(ctx context.Context, w *Walk) error {
	w.twin = cluster{Group: "walk-twin", Name: "twin", Subnet: w.subnets["aks-twin"]}
	if err := w.create(ctx, &w.twin, "--service-cidr", "10.2.0.0/24", "--dns-service-ip", "10.2.0.10", "--node-count", "1"); err != nil {
		return err
	}
	if w.main.Endpoint != w.twin.Endpoint {
		return fmt.Errorf("the two endpoints have different addresses, %s and %s: the walk wants them equal", w.main.Endpoint, w.twin.Endpoint)
	}
	w.saw("both endpoints are %s", w.main.Endpoint)
	return nil
}

// create makes a private cluster and reads where it is.
func (w *Walk) create(ctx context.Context, c *cluster, more ...string) error {
	args := append([]string{"aks", "create", "--resource-group", c.Group, "--name", c.Name, "--load-balancer-sku", "standard", "--enable-private-cluster",
		"--network-plugin", "azure", "--vnet-subnet-id", c.Subnet, "--generate-ssh-keys", "--yes", "-o", "none"}, more...)
	t := time.Now()
	if _, err := w.az(ctx, args...); err != nil {
		return err
	}
	w.saw("az returned after %.1f s", time.Since(t).Seconds())
	var show struct {
		ProvisioningState, Fqdn, PrivateFqdn, NodeResourceGroup, CurrentKubernetesVersion string
		PowerState                                                                        struct{ Code string }
	}
	if err := w.azJSON(ctx, &show, "aks", "show", "-g", c.Group, "-n", c.Name); err != nil {
		return err
	}
	if show.ProvisioningState != "Succeeded" || show.PowerState.Code != "Running" {
		return fmt.Errorf("aks show: %+v", show)
	}
	c.PrivateFQDN, c.PublicFQDN, c.NodeGroup = show.PrivateFqdn, show.Fqdn, show.NodeResourceGroup
	if want := fmt.Sprintf("MC_%s_%s_%s", c.Group, c.Name, w.Region); c.NodeGroup != want {
		return fmt.Errorf("node resource group is %s, not %s", c.NodeGroup, want)
	}
	zone := c.PrivateFQDN[strings.Index(c.PrivateFQDN, ".")+1:]
	var records []struct {
		Name     string
		ARecords []struct{ Ipv4Address string } `json:"aRecords"`
	}
	if err := w.azJSON(ctx, &records, "network", "private-dns", "record-set", "a", "list", "-g", c.NodeGroup, "-z", zone); err != nil {
		return err
	}
	if len(records) != 1 || len(records[0].ARecords) != 1 {
		return fmt.Errorf("the zone's A records are %+v, not one", records)
	}
	c.Endpoint = records[0].ARecords[0].Ipv4Address
	w.saw("%s -> %s", c.PrivateFQDN, c.Endpoint)
	return nil
}

func managedGroup(ctx context.Context, w *Walk) error {
	var list []struct{ Name, Type string }
	if err := w.azJSON(ctx, &list, "resource", "list", "-g", w.main.NodeGroup); err != nil {
		return err
	}
	table, err := w.az(ctx, "resource", "list", "-g", w.main.NodeGroup, "-o", "table")
	if err != nil {
		return err
	}
	w.saw("%s", table)
	for _, want := range []struct{ prefix, suffix, typ string }{
		{"aks-nodepool1-", "-vmss", "Microsoft.Compute/virtualMachineScaleSets"},
		{"prod-agentpool", "", "Microsoft.ManagedIdentity/userAssignedIdentities"},
		{"kubernetes", "", "Microsoft.Network/loadBalancers"},
		{"kube-apiserver.nic.", "", "Microsoft.Network/networkInterfaces"},
		{"aks-agentpool-", "-nsg", "Microsoft.Network/networkSecurityGroups"},
		{"", ".privatelink." + w.Region + ".azmk8s.io", "Microsoft.Network/privateDnsZones"},
		{"", "/" + w.main.PrivateFQDN[:strings.Index(w.main.PrivateFQDN, ".")], "Microsoft.Network/privateDnsZones/virtualNetworkLinks"},
		{"kube-apiserver", "", "Microsoft.Network/privateEndpoints"},
		{"", "", "Microsoft.Network/publicIPAddresses"},
	} {
		found := false
		for _, r := range list {
			found = found || (strings.EqualFold(r.Type, want.typ) && strings.HasPrefix(r.Name, want.prefix) && strings.HasSuffix(r.Name, want.suffix))
		}
		if !found {
			return fmt.Errorf("no %s named %s…%s in %s", want.typ, want.prefix, want.suffix, w.main.NodeGroup)
		}
	}
	var obj struct {
		PrivateLinkResources   []struct{ ID, Name, Type, GroupID string }
		APIServerAccessProfile struct{ EnablePrivateCluster bool } `json:"apiServerAccessProfile"`
	}
	if err := w.azJSON(ctx, &obj, "aks", "show", "-g", w.main.Group, "-n", w.main.Name); err != nil {
		return err
	}
	if len(obj.PrivateLinkResources) != 1 || obj.PrivateLinkResources[0].GroupID != "management" ||
		!strings.HasSuffix(obj.PrivateLinkResources[0].ID, "/managedClusters/prod/privateLinkResources/management") || !obj.APIServerAccessProfile.EnablePrivateCluster {
		return fmt.Errorf("the cluster's object: %+v", obj)
	}
	w.saw("privateLinkResources: %s; apiServerAccessProfile.enablePrivateCluster: true", obj.PrivateLinkResources[0].ID)
	return nil
}

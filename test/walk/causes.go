package walk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// causes changes what stands in the managed group, and sees that it has the effect it would have in Azure.
func causes(ctx context.Context, w *Walk) error {
	for _, c := range []struct {
		name string
		try  func(context.Context, *Walk) error
	}{
		{"the A record deleted: the name is gone; az aks update without a change repairs it", recordDeleted},
		{"the A record pointed elsewhere: kubectl fails; az aks update repairs it", recordElsewhere},
		{"the endpoint deleted: kubectl fails, the nodes become NotReady; az aks update repairs it", endpointDeleted},
		{"an outbound rule of the client's subnet: 443 blocked, and open for VirtualNetwork", outboundRule},
	} {
		if err := c.try(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		w.saw("%s: holds", c.name)
	}
	return nil
}

// repair is an update without any change.
func (w *Walk) repair(ctx context.Context) error {
	if _, err := w.az(ctx, "aks", "update", "-g", w.main.Group, "-n", w.main.Name, "--yes", "-o", "none"); err != nil {
		return err
	}
	return eventually(ctx, 20*time.Second, w.kubectlWorks)
}

func (w *Walk) kubectlWorks(ctx context.Context) error {
	_, err := w.inside(ctx, w.subnets["clients"], "kubectl", "get", "nodes", "--request-timeout", "4s")
	return err
}

// kubectlFails wants kubectl to fail with one of the reasons.
func (w *Walk) kubectlFails(ctx context.Context, reasons ...string) error {
	err := w.kubectlWorks(ctx)
	if err == nil {
		return errors.New("kubectl still works")
	}
	for _, r := range reasons {
		if strings.Contains(err.Error(), r) {
			return nil
		}
	}
	return fmt.Errorf("kubectl fails for another reason than %v: %w", reasons, err)
}

func recordDeleted(ctx context.Context, w *Walk) error {
	name, zone, _ := strings.Cut(w.main.PrivateFQDN, ".")
	if _, err := w.az(ctx, "network", "private-dns", "record-set", "a", "delete", "-g", w.main.NodeGroup, "-z", zone, "-n", name, "--yes"); err != nil {
		return err
	}
	// az has taken a second itself after the answer came: no further wait.
	if err := w.kubectlFails(ctx, "no such host"); err != nil {
		return err
	}
	return w.repair(ctx)
}

func recordElsewhere(ctx context.Context, w *Walk) error {
	name, zone, _ := strings.Cut(w.main.PrivateFQDN, ".")
	record := []string{"-g", w.main.NodeGroup, "-z", zone, "-n", name, "-o", "none", "-a"}
	if _, err := w.az(ctx, append([]string{"network", "private-dns", "record-set", "a", "add-record"}, append(record, "10.240.3.250")...)...); err != nil {
		return err
	}
	if _, err := w.az(ctx, append([]string{"network", "private-dns", "record-set", "a", "remove-record"}, append(record, w.main.Endpoint)...)...); err != nil {
		return err
	}
	if err := w.kubectlFails(ctx, "10.240.3.250:443"); err != nil {
		return err
	}
	return w.repair(ctx)
}

func endpointDeleted(ctx context.Context, w *Walk) error {
	if _, err := w.az(ctx, "network", "private-endpoint", "delete", "-g", w.main.NodeGroup, "-n", "kube-apiserver"); err != nil {
		return err
	}
	if err := w.kubectlFails(ctx, "no route to host", "timeout", "deadline exceeded"); err != nil {
		return err
	}
	// The daemon still reaches the control plane, and says how many nodes are Ready.
	if err := eventually(ctx, 2*time.Minute, func(ctx context.Context) error {
		out, err := w.command(ctx, false, "status", "--json")
		if err != nil {
			return err
		}
		var st struct {
			Clusters []struct {
				ID    string
				Nodes string // ready/wanted
			}
		}
		if err := json.Unmarshal([]byte(out), &st); err != nil {
			return err
		}
		for _, c := range st.Clusters {
			if strings.HasSuffix(c.ID, "/managedClusters/"+w.main.Name) && strings.HasPrefix(c.Nodes, "0/") {
				return nil
			}
		}
		return fmt.Errorf("nodes are still Ready: %+v", st.Clusters)
	}); err != nil {
		return err
	}
	if err := w.repair(ctx); err != nil {
		return err
	}
	return eventually(ctx, time.Minute, func(ctx context.Context) error {
		list, err := w.nodes(ctx, "nodepool1")
		if err == nil && ready(list) != w.Nodes {
			err = fmt.Errorf("%d of %d nodes are Ready again", ready(list), w.Nodes)
		}
		return err
	})
}

func outboundRule(ctx context.Context, w *Walk) error {
	group := []string{"-g", w.main.Group, "--nsg-name", "clients"}
	rule := func(name, priority, access, to string) []string {
		return append([]string{"network", "nsg", "rule", "create", "-n", name, "--priority", priority, "--direction", "Outbound", "--access", access,
			"--protocol", "Tcp", "--destination-port-ranges", "443", "--destination-address-prefixes", to, "-o", "none"}, group...)
	}
	subnet := func(nsg string) []string {
		return []string{"network", "vnet", "subnet", "update", "--ids", w.subnets["clients"], "--network-security-group", nsg, "-o", "none"}
	}
	for _, args := range [][]string{{"network", "nsg", "create", "-g", w.main.Group, "-n", "clients", "-o", "none"}, rule("deny", "200", "Deny", "*"), subnet("clients")} {
		if _, err := w.az(ctx, args...); err != nil {
			return err
		}
	}
	if err := w.kubectlFails(ctx, "timeout", "deadline exceeded"); err != nil {
		return err
	}
	if _, err := w.az(ctx, rule("allow", "100", "Allow", "Internet")...); err != nil {
		return err
	}
	if err := w.kubectlFails(ctx, "timeout", "deadline exceeded"); err != nil {
		return fmt.Errorf("allowed to Internet only: %w", err)
	}
	if _, err := w.az(ctx, append([]string{"network", "nsg", "rule", "update", "-n", "allow", "--destination-address-prefixes", "VirtualNetwork", "-o", "none"}, group...)...); err != nil {
		return err
	}
	if err := w.kubectlWorks(ctx); err != nil {
		return fmt.Errorf("allowed to VirtualNetwork: %w", err)
	}
	for _, args := range [][]string{subnet("null"), {"network", "nsg", "delete", "-g", w.main.Group, "-n", "clients"}} {
		if _, err := w.az(ctx, args...); err != nil {
			return err
		}
	}
	return w.kubectlWorks(ctx)
}

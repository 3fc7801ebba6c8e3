package containerservice_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store/storetest"
)

const create = `{"location":"eastus","identity":{"type":"SystemAssigned"},"properties":{"kubernetesVersion":"","dnsPrefix":"c-rg-222222",
"agentPoolProfiles":[{"count":3,"vmSize":"","vnetSubnetID":"` + subnetID + `","osType":"Linux","type":"VirtualMachineScaleSets","mode":"System","orchestratorVersion":"","name":"nodepool1"}],
"networkProfile":{"networkPlugin":"azure","serviceCidr":"10.2.0.0/24","dnsServiceIP":"10.2.0.10","outboundType":"loadBalancer","loadBalancerSku":"standard"},
"apiServerAccessProfile":{"authorizedIPRanges":[],"enablePrivateCluster":true}}}`

func testLog(t *testing.T) *slog.Logger {
	if testing.Verbose() && os.Getenv("CLOISTER_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func at(doc map[string]any, dotted string) any {
	var v any = doc
	for part := range strings.SplitSeq(dotted, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			v = nil
			if part == "0" && len(x) > 0 {
				v = x[0]
			}
		default:
			return nil
		}
	}
	return v
}

func TestCreateScaleStopDelete(t *testing.T) {
	b := prepared(t)
	r := b.write(clusterID, create)
	if r.State != "Succeeded" {
		t.Fatalf("state %s, %v", r.State, r.Error)
	}
	cluster := checkSpecs(b)
	checkMembers(b)
	checkNodes(b, cluster, 3)

	t.Run("no change", func(t *testing.T) {
		before := b.keys("/spec/")
		doc := b.document(clusterID)
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if b.write(clusterID, string(raw)).State != "Succeeded" || !slices.Equal(before, b.keys("/spec/")) {
			t.Errorf("a document that was read and written back changed something: %v, %v", before, b.keys("/spec/"))
		}
	})
	t.Run("repair", func(t *testing.T) {
		record := strings.TrimPrefix(b.keys("/res" + strings.ToLower(nodeGroup) + "/providers/microsoft.network/privatednszones/")[1], "/res")
		if !strings.Contains(record, "/a/") {
			t.Fatalf("no record: %s", record)
		}
		b.delete(record)
		b.write(clusterID, create)
		if !b.exists(record) {
			t.Error("the record that somebody deleted is not there after an update")
		}
	})
	t.Run("repair endpoint", func(t *testing.T) {
		endpoint := nodeGroup + "/providers/Microsoft.Network/privateEndpoints/kube-apiserver"
		b.delete(endpoint)
		b.write(clusterID, create)
		if !b.exists(endpoint) {
			t.Error("the endpoint that somebody deleted is not there after an update")
		}
		if got := checkSpecs(b); got != cluster {
			t.Errorf("the endpoint's way back changed the cluster: %+v, %+v", cluster, got)
		}
		var e spec.Endpoint
		if _, err := b.store.Get(b.ctx, b.keys(spec.EndpointPrefix)[0], &e); err != nil || !e.Return || !e.Approved || e.Service != cluster.Name {
			t.Errorf("endpoint %+v, %v", e, err)
		}
	})
	t.Run("public name", func(t *testing.T) {
		b.write(clusterID, strings.Replace(create, `"enablePrivateCluster":true`, `"enablePrivateCluster":true,"enablePrivateClusterPublicFQDN":false`, 1))
		if k := b.keys("/spec/publicname/"); len(k) != 0 || at(b.document(clusterID), "properties.fqdn") != nil {
			t.Errorf("a disabled public name is there: %v", k)
		}
		b.write(clusterID, strings.Replace(create, `"enablePrivateCluster":true`, `"enablePrivateCluster":true,"enablePrivateClusterPublicFQDN":true`, 1))
		if k := b.keys("/spec/publicname/"); len(k) != 1 || at(b.document(clusterID), "properties.fqdn") == nil {
			t.Errorf("an enabled public name is not there: %v", k)
		}
	})
	t.Run("scale", func(t *testing.T) {
		b.write(clusterID, strings.Replace(create, `"count":3`, `"count":1`, 1))
		checkNodes(b, cluster, 1)
		b.write(clusterID+"/agentPools/nodepool1", `{"properties":{"count":2,"mode":"System"}}`)
		checkNodes(b, cluster, 2)
		b.write(clusterID+"/agentPools/np2", `{"properties":{"count":1,"mode":"User"}}`)
		checkNodes(b, cluster, 3)
		if n := len(at(b.document(clusterID), "properties.agentPoolProfiles").([]any)); n != 2 {
			t.Errorf("the cluster shows %d pools", n)
		}
		if _, err := b.server.Delete(b.ctx, user, clusterID+"/agentPools/nodepool1"); code(err) != "OperationNotAllowed" {
			t.Errorf("deleting the last system pool: %v", err)
		}
		b.delete(clusterID + "/agentPools/np2")
		checkNodes(b, cluster, 2)
	})
	t.Run("fixed", func(t *testing.T) {
		for _, change := range [][2]string{{`"serviceCidr":"10.2.0.0/24","dnsServiceIP":"10.2.0.10"`, `"serviceCidr":"10.3.0.0/24","dnsServiceIP":"10.3.0.10"`}, {`c-rg-222222`, `other`}, {`"vmSize":""`, `"vmSize":"Standard_D4s_v5"`}} {
			_, err := b.server.Write(b.ctx, user, clusterID, unmarshal[map[string]any](t, []byte(strings.Replace(create, change[0], change[1], 1))), "")
			if code(err) != "PropertyChangeNotAllowed" {
				t.Errorf("%s: %v", change[1], err)
			}
		}
	})
	b.delete(clusterID)
	checkNothing(b)
}

// checkSpecs checks what internal/kubernetes gets of a cluster, and what people see.
func checkSpecs(b *bench) spec.Cluster {
	b.t.Helper()
	docs, _, err := b.store.List(b.ctx, spec.ClusterPrefix)
	if err != nil || len(docs) != 1 {
		b.t.Fatalf("%d clusters, %v", len(docs), err)
	}
	c := unmarshal[spec.Cluster](b.t, docs[0].Value)
	doc := b.document(clusterID)
	if c.Endpoint != netip.MustParseAddr("10.240.0.4") {
		b.t.Errorf("the endpoint's address is %s, not the subnet's first", c.Endpoint)
	}
	if c.PrivateFQDN != at(doc, "properties.privateFQDN") || c.PublicFQDN != at(doc, "properties.fqdn") || c.Version != "1.37.1" || c.Issuer != "https://arm/oidc/"+c.Name+"/" {
		b.t.Errorf("spec %+v", c)
	}
	want := strings.Replace(clusterID, "resourceGroups", "resourcegroups", 1) + "/privateLinkResources/management"
	if got := at(doc, "properties.privateLinkResources.0.id"); got != want {
		b.t.Errorf("private link resource is %v", got)
	}
	if at(doc, "properties.identityProfile.kubeletidentity.resourceId") != nodeGroup+"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/c-agentpool" {
		b.t.Errorf("identityProfile: %v", at(doc, "properties.identityProfile"))
	}
	if at(doc, "properties.networkProfile.loadBalancerProfile.effectiveOutboundIPs.0.id") == nil {
		b.t.Error("no effectiveOutboundIPs")
	}
	return c
}

// checkMembers checks the node resource group against the names of AKS.
func checkMembers(b *bench) {
	b.t.Helper()
	all, err := b.server.Resources().Below(b.ctx, nodeGroup, "")
	if err != nil {
		b.t.Fatal(err)
	}
	const guid = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	wanted := []string{
		`virtualMachineScaleSets/aks-nodepool1-\d{8}-vmss`, `userAssignedIdentities/c-agentpool`, `loadBalancers/kubernetes`, `networkSecurityGroups/aks-agentpool-\d{8}-nsg`,
		`privateDnsZones/` + guid + `\.privatelink\.eastus\.azmk8s\.io`, `privateEndpoints/kube-apiserver`, `networkInterfaces/kube-apiserver\.nic\.` + guid, `publicIPAddresses/` + guid,
		`virtualNetworkLinks/c-rg-222222-[0-9a-f]{8}`, `A/c-rg-222222-[0-9a-f]{8}`,
	}
	if len(all) != len(wanted) {
		b.t.Errorf("%d members, want %d", len(all), len(wanted))
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(all, func(r *arm.Resource) bool { return regexp.MustCompile("/" + w + "$").MatchString(r.ID) }) {
			b.t.Errorf("no member %s", w)
		}
	}
	g, err := b.server.Resources().Get(b.ctx, nodeGroup)
	if err != nil || g.ManagedBy != clusterID {
		b.t.Errorf("the node resource group is managed by %v, %v", g, err)
	}
}

// checkNodes checks the cluster's nodes: names, interfaces, addresses.
func checkNodes(b *bench, c spec.Cluster, want int) {
	b.t.Helper()
	docs, _, err := b.store.List(b.ctx, spec.NodePrefix)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(docs) != want {
		b.t.Errorf("%d nodes, want %d", len(docs), want)
	}
	used := map[netip.Addr]string{c.Endpoint: "endpoint"}
	for _, d := range docs {
		n := unmarshal[spec.Node](b.t, d.Value)
		var nic spec.NIC
		if _, err := b.store.Get(b.ctx, spec.NICKey(n.NIC), &nic); err != nil {
			b.t.Fatal(err)
		}
		if !regexp.MustCompile(`^aks-[a-z0-9]+-\d{8}-vmss00000\d$`).MatchString(n.Name) || path.Base(d.Key) != n.Name {
			b.t.Errorf("node name %s", n.Name)
		}
		if nic.Address != n.Address || !slices.Equal(nic.Secondary, n.PodIPs) || len(n.PodIPs) != 30 || nic.Sandbox != n.Sandbox || nic.Outbound != netip.MustParseAddr("198.51.100.4") || nic.Subnet != strings.ToLower(subnetID) {
			b.t.Errorf("node %s with the interface %s", d.Value, nic.Name)
		}
		for _, a := range append(n.PodIPs, n.Address) {
			if used[a] != "" {
				b.t.Errorf("%s belongs to %s and %s", a, used[a], n.Name)
			}
			used[a] = n.Name
		}
		if n.Labels["kubernetes.io/role"] != "agent" || n.Labels["agentpool"] != n.Pool || n.MilliCPU != 2000 || n.MemoryBytes != 7<<30 {
			b.t.Errorf("node %+v", n)
		}
		if !regexp.MustCompile(`^azure:///subscriptions/.+/virtualMachineScaleSets/aks-.+-vmss/virtualMachines/\d+$`).MatchString(n.ProviderID) {
			b.t.Errorf("provider id %s", n.ProviderID)
		}
	}
	var taken map[netip.Addr]string
	if _, err := b.store.Get(b.ctx, "/ipam"+strings.ToLower(subnetID), &taken); err != nil || len(taken) != len(used) {
		b.t.Errorf("%d addresses are taken, %d used (%v)", len(taken), len(used), err)
	}
}

// checkNothing checks that a deleted cluster has left nothing but what was there before.
func checkNothing(b *bench) {
	b.t.Helper()
	for _, prefix := range []string{"/spec/", "/status/", "/ipam/", "/res" + strings.ToLower(nodeGroup), "/res" + strings.ToLower(clusterID), "/identity/"} {
		if k := b.keys(prefix); len(k) > 0 {
			b.t.Errorf("left below %s: %v", prefix, k)
		}
	}
}

func TestManagedNetwork(t *testing.T) {
	b := prepared(t)
	r := b.write(clusterID, strings.Replace(create, `"vnetSubnetID":"`+subnetID+`",`, "", 1))
	if r.State != "Succeeded" {
		t.Fatalf("state %s, %v", r.State, r.Error)
	}
	docs, _, err := b.store.List(b.ctx, spec.NodePrefix)
	if err != nil || len(docs) != 3 {
		t.Fatalf("%d nodes, %v", len(docs), err)
	}
	first := unmarshal[spec.Node](t, docs[0].Value)
	if first.Address != netip.MustParseAddr("10.224.0.5") || first.SubnetCIDR != netip.MustParsePrefix("10.224.0.0/16") {
		t.Errorf("the first node has %s in %s", first.Address, first.SubnetCIDR)
	}
	b.delete(clusterID)
	checkNothing(b)
}

// TestCrashes stops everything again and again while a cluster is made and deleted, and goes on with a new server over the same store.
func TestCrashes(t *testing.T) {
	b := newBench(t, storetest.New(t))
	b.surroundings()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := newBench(t, b.store)
			if !c.exists(clusterID) {
				if _, err := c.server.Write(c.ctx, user, clusterID, unmarshal[map[string]any](t, []byte(create)), ""); err != nil {
					t.Fatal(err)
				}
			}
			stop := c.start()
			c.until("some more is there", func() bool { return len(c.keys("/spec/"))+len(c.keys("/res/")) >= 6+i })
			stop()
		})
	}
	t.Cleanup(b.start())
	if r := b.settled(clusterID); r.State != "Succeeded" {
		t.Fatalf("state %s, %v", r.State, r.Error)
	}
	checkNodes(b, checkSpecs(b), 3)
	checkMembers(b)
	b.delete(clusterID)
	checkNothing(b)
}

package managedclusters

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/containerservice/agentpools"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"

	"net/netip"
)

const (
	sub       = "/subscriptions/22222222-2222-2222-2222-222222222222"
	clusterID = sub + "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c"
	vnetID    = sub + "/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v"
	subnetID  = vnetID + "/subnets/s"
	zoneID    = sub + "/resourceGroups/rg/providers/Microsoft.Network/privateDnsZones/privatelink.eastus.azmk8s.io"
	umiID     = sub + "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
)

// seed is what az 2.45 sends for the cluster of the story.
const seed = `{"location":"eastus","identity":{"type":"SystemAssigned"},"properties":{"kubernetesVersion":"","dnsPrefix":"c-rg-222222",
"agentPoolProfiles":[{"count":3,"vmSize":"Standard_DS2_v2","osDiskSizeGB":0,"vnetSubnetID":"` + subnetID + `","osType":"Linux","enableAutoScaling":false,
"type":"VirtualMachineScaleSets","mode":"System","orchestratorVersion":"","upgradeSettings":{},"enableNodePublicIP":false,"scaleSetPriority":"Regular",
"scaleSetEvictionPolicy":"Delete","spotMaxPrice":-1.0,"nodeTaints":[],"enableEncryptionAtHost":false,"enableUltraSSD":false,"enableFIPS":false,"name":"nodepool1"}],
"linuxProfile":{"adminUsername":"azureuser","ssh":{"publicKeys":[{"keyData":"ssh-rsa AAAA"}]}},"addonProfiles":{},"enableRBAC":true,
"networkProfile":{"networkPlugin":"azure","serviceCidr":"10.2.0.0/24","dnsServiceIP":"10.2.0.10","dockerBridgeCidr":"172.17.0.1/16","outboundType":"loadBalancer","loadBalancerSku":"standard"},
"apiServerAccessProfile":{"authorizedIPRanges":[],"enablePrivateCluster":true},"disableLocalAccounts":false,"storageProfile":{}}}`

// bench is a store with the network, zone and identity that clusters of the tests use.
type bench struct {
	t     *testing.T
	store store.Store
	typ   *typ
	deny  string // action that the caller may not do
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := storetest.New(t)
	b := &bench{t: t, store: s, typ: &typ{shape.Deps{Store: s, TenantID: "tenant", IssuerURL: "https://arm/oidc", Versions: shape.Versions{"1.37.1", "1.36.5"}}}}
	b.put(vnetID, "eastus", map[string]any{"addressSpace": map[string]any{"addressPrefixes": []any{"10.240.0.0/16"}}})
	b.put(subnetID, "", map[string]any{"addressPrefix": "10.240.0.0/24"})
	b.put(zoneID, "global", map[string]any{})
	b.put(umiID, "eastus", map[string]any{"principalId": "p1", "clientId": "c1"})
	return b
}

func (b *bench) put(id, location string, props map[string]any) {
	b.t.Helper()
	parsed := resourceid.MustParse(id)
	r := &arm.Resource{ID: id, Type: parsed.Type(), Name: parsed.Name(), State: "Succeeded", Body: map[string]any{"location": location, "properties": props}}
	if _, err := b.store.Commit(b.t.Context(), (&store.Tx{}).Put(arm.Key(id), r)); err != nil {
		b.t.Fatal(err)
	}
}

// admit sends the document to the cluster's admission. old is nil on create.
func (b *bench) admit(body map[string]any, old *arm.Resource) (*arm.Write, error) {
	b.t.Helper()
	w := &arm.Write{
		ID: resourceid.MustParse(clusterID), Old: old, Read: &arm.Resources{Store: b.store}, Tx: &store.Tx{},
		New: &arm.Resource{ID: clusterID, Type: shape.ClusterType, Name: "c", Body: body, State: "Creating", Operation: "/op/1"},
		Allowed: func(_ context.Context, action, scope string) error {
			if action == b.deny {
				return arm.Errorf(403, "AuthorizationFailed", "no %s on %s", action, scope)
			}
			return nil
		},
	}
	if old != nil {
		w.New.Rev, w.New.State = old.Rev, "Updating"
	}
	return w, b.typ.admit(b.t.Context(), w)
}

// commit writes what admission led to, and returns the cluster as it is read then.
func (b *bench) commit(w *arm.Write) *arm.Resource {
	b.t.Helper()
	arm.Put(w.Tx, w.New)
	if _, err := b.store.Commit(b.t.Context(), w.Tx); err != nil {
		b.t.Fatal(err)
	}
	r, err := b.typ.Read().Get(b.t.Context(), clusterID)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// show is the document that a client gets.
func (b *bench) show(r *arm.Resource) shape.Doc {
	b.t.Helper()
	doc := shape.Clone(r.Body).(map[string]any)
	if err := b.typ.view(b.t.Context(), r, doc); err != nil {
		b.t.Fatal(err)
	}
	return doc
}

func body(t *testing.T, edits ...string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(seed), &out); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		path, text, _ := strings.Cut(e, "=")
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		doc := shape.Doc(out)
		if rest, ok := strings.CutPrefix(path, "pool."); ok {
			doc, path = doc.List("properties.agentPoolProfiles")[0].(map[string]any), rest
		}
		if v == nil {
			doc.Remove(path)
		} else {
			doc.Set(path, v)
		}
	}
	return out
}

func codes(problems []*arm.Error) string {
	var out []string
	for _, p := range problems {
		out = append(out, p.Code+" "+p.Target+": "+p.Message)
	}
	return strings.Join(out, "\n")
}

func TestFirstAnswer(t *testing.T) {
	b := newBench(t)
	w, err := b.admit(body(t), nil)
	if err != nil || len(w.Problems) > 0 {
		t.Fatal(err, codes(w.Problems))
	}
	doc := b.show(b.commit(w))
	for path, want := range map[string]string{
		"location": "^eastus$", "identity.type": "^SystemAssigned$", "identity.principalId": "^[0-9a-f-]{36}$", "identity.tenantId": "^tenant$", "sku.name": "^Base$", "sku.tier": "^Free$",
		"properties.kubernetesVersion": "^1.37.1$", "properties.currentKubernetesVersion": "^1.37.1$", "properties.powerState.code": "^Running$",
		"properties.fqdn": `^c-rg-222222-[0-9a-f]{8}\.hcp\.eastus\.azmk8s\.io$`, "properties.privateFQDN": `^c-rg-222222-[0-9a-f]{8}\.[0-9a-f-]{36}\.privatelink\.eastus\.azmk8s\.io$`,
		"properties.azurePortalFQDN": `^[0-9a-f]{32}-priv\.portal\.hcp\.eastus\.azmk8s\.io$`, "properties.nodeResourceGroup": "^MC_rg_c_eastus$", "properties.maxAgentPools": "^100$",
		"properties.servicePrincipalProfile.clientId": "^msi$", "properties.apiServerAccessProfile.privateDNSZone": "^system$", "properties.apiServerAccessProfile.enablePrivateCluster": "^true$",
		"properties.apiServerAccessProfile.enablePrivateClusterPublicFQDN": "^true$", "properties.apiServerAccessProfile.privateClusterVersion": "^v1$",
		"properties.networkProfile.dockerBridgeCidr": "^172.17.0.1/16$", "properties.networkProfile.serviceCidr": "^10.2.0.0/24$", "properties.networkProfile.networkPlugin": "^azure$",
		"properties.linuxProfile.adminUsername": "^azureuser$", "properties.enableRBAC": "^true$",
	} {
		if got := fmt.Sprint(doc.At(path)); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s is %q, want %s", path, got, want)
		}
	}
	if fqdn, private := doc.Str("properties.fqdn"), doc.Str("properties.privateFQDN"); strings.Split(fqdn, ".")[0] == strings.Split(private, ".")[0] {
		t.Errorf("the public and the private name have the same hash: %s, %s", fqdn, private)
	}
	link := shape.Doc(doc.List("properties.privateLinkResources")[0].(map[string]any))
	if link.Str("groupId") != "management" || link.Str("name") != "management" || link.At("id") != nil || link.Strings("requiredMembers")[0] != "management" {
		t.Errorf("privateLinkResources: %v", link)
	}
	pool := shape.Doc(doc.List("properties.agentPoolProfiles")[0].(map[string]any))
	for path, want := range map[string]string{
		"name": "nodepool1", "count": "3", "maxPods": "30", "osDiskSizeGB": "128", "orchestratorVersion": "1.37.1", "currentOrchestratorVersion": "1.37.1",
		"provisioningState": "Creating", "powerState.code": "Running", "mode": "System", "vnetSubnetID": subnetID, "spotMaxPrice": "-1",
	} {
		if got := fmt.Sprint(pool.At(path)); got != want {
			t.Errorf("agentPoolProfiles[0].%s is %q, want %q", path, got, want)
		}
	}
}

func TestShortForm(t *testing.T) {
	b := newBench(t)
	w, err := b.admit(body(t, "pool.vnetSubnetID=null", "pool.vmSize=\"\"", `properties.networkProfile={"podCidr":"10.244.0.0/16","serviceCidr":"10.0.0.0/16","dnsServiceIP":"10.0.0.10"}`), nil)
	if err != nil || len(w.Problems) > 0 {
		t.Fatal(err, codes(w.Problems))
	}
	c, err := shape.ClusterOf(b.commit(w))
	if err != nil {
		t.Fatal(err)
	}
	if want := sub + "/resourceGroups/MC_rg_c_eastus/providers/Microsoft.Network/virtualNetworks/aks-vnet-" + c.Digits + "/subnets/aks-subnet"; c.Subnet != want || !c.ManagedNetwork {
		t.Errorf("the managed subnet is %s, want %s", c.Subnet, want)
	}
	if c.Props.At("networkProfile.podCidr") != nil {
		t.Error("a pod CIDR that has no effect is shown")
	}
}

func TestInsufficientSubnet(t *testing.T) {
	b := newBench(t)
	prefix := netip.MustParsePrefix("10.240.0.0/24")
	pool, err := ipam.Load(t.Context(), b.store, resourceid.MustParse(subnetID).Key(), prefix, agentpools.Reserved)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Take("somebody", 200); err != nil {
		t.Fatal(err)
	}
	tx := &store.Tx{}
	pool.Save(tx)
	if _, err := b.store.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	w, err := b.admit(body(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := codes(w.Problems); !strings.Contains(got, "InsufficientSubnetSize") || !strings.Contains(got, "IPs 94 exceeds IPs available 51") {
		t.Error(got)
	}
}

func TestNotAllowed(t *testing.T) {
	b := newBench(t)
	b.deny = "Microsoft.Network/virtualNetworks/subnets/join/action"
	if _, err := b.admit(body(t), nil); err == nil || !strings.Contains(err.Error(), "LinkedAuthorizationFailed") {
		t.Errorf("a caller who may not join the subnet got %v", err)
	}
}

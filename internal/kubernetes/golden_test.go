package kubernetes

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/internal/kubernetes/args"
	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/spec"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	testCluster = spec.Cluster{
		Name: "abcdefghij", Resource: "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/prod",
		Version: "1.37.1", Endpoint: netip.MustParseAddr("10.240.0.4"),
		PrivateFQDN: "prod-1234abcd.zone.privatelink.eastus.azmk8s.io", PublicFQDN: "prod-0a0a0a0a.hcp.eastus.azmk8s.io",
		ServiceCIDR: netip.MustParsePrefix("10.2.0.0/24"), DNSService: netip.MustParseAddr("10.2.0.10"),
		Issuer: "https://198.51.100.2/oidc/abcdefghij/", Store: "etcd", ReturnPath: "direct",
	}
	testNode = spec.Node{
		Name: "aks-nodepool1-12345678-vmss000000", Cluster: "abcdefghij", Pool: "nodepool1", Version: "1.37.1",
		Sandbox: "node-sandbox", Address: netip.MustParseAddr("10.240.0.5"), SubnetCIDR: netip.MustParsePrefix("10.240.0.0/16"),
		PodIPs: []netip.Addr{
			netip.MustParseAddr("10.240.0.7"), netip.MustParseAddr("10.240.0.6"), netip.MustParseAddr("10.240.0.9"),
		},
		MaxPods: 30, MilliCPU: 2000, MemoryBytes: 7 << 30,
		Labels: map[string]string{
			"agentpool": "nodepool1", "kubernetes.azure.com/mode": "system", "topology.kubernetes.io/region": "eastus",
			"node.kubernetes.io/instance-type": "Standard_DS2_v2", "kubernetes.io/role": "agent",
		},
		Taints:     []string{"CriticalAddonsOnly=true:NoSchedule"},
		Register:   spec.Registration{Labels: map[string]string{"agentpool": "nodepool1", "kubernetes.azure.com/mode": "system", "topology.kubernetes.io/region": "eastus", "node.kubernetes.io/instance-type": "Standard_DS2_v2"}, Taints: []string{"CriticalAddonsOnly=true:NoSchedule"}},
		ProviderID: "azure:///subscriptions/s/resourceGroups/mc/providers/Microsoft.Compute/virtualMachineScaleSets/vmss/virtualMachines/0",
	}
	testHost = args.Host{MilliCPU: 4000, MemoryBytes: 16 << 30, RestrictOOMScore: true}
)

func testSecrets(t *testing.T) (*pki.Cluster, *pki.Node) {
	t.Helper()
	s, _, err := pki.EnsureCluster(nil, testCluster, time.Now(), pki.Lifetime)
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := s.EnsureNode(nil, testNode, time.Now(), pki.Lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return s, n
}

// TestWorkloads holds what runs against the golden files; go test -update writes them.
func TestWorkloads(t *testing.T) {
	secrets, nodeSecrets := testSecrets(t)
	list, err := Workloads(testCluster, secrets, pki.Lifetime)
	if err != nil {
		t.Fatal(err)
	}
	node, err := NodeWorkload(testNode, testCluster, nodeSecrets, testHost)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range append(list, node) {
		if len(w.Name) > 63 {
			t.Errorf("%s is longer than 63 characters", w.Name)
		}
		if w.Renewed != "" { // it depends on the certificates, which are random
			w.Renewed = "fingerprint"
		}
		files := w.Files
		w.Files = map[string]spec.File{}
		for path, f := range files {
			if f.Text == "" {
				w.Files[path] = f
				continue
			}
			golden(t, filepath.Join(string(w.Kind), filepath.Base(path)), maskAuthority(f.Text, secrets))
		}
		b, err := json.MarshalIndent(w, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, string(w.Kind)+"/workload.json", string(b)+"\n")
	}
}

// maskAuthority takes out the one part of a node's files that depends on a random key.
func maskAuthority(text string, s *pki.Cluster) string {
	return strings.ReplaceAll(text, pki.Fingerprint(s.CACert), "authority")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it); got:\n%s", path, got)
	}
}

// TestSecretsStayOut: what a workload's files name exists, and a control plane
// does not get people's keys, nor a node the authority's.
func TestSecretsStayOut(t *testing.T) {
	secrets, nodeSecrets := testSecrets(t)
	list, err := Workloads(testCluster, secrets, pki.Lifetime)
	if err != nil {
		t.Fatal(err)
	}
	node, err := NodeWorkload(testNode, testCluster, nodeSecrets, testHost)
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]map[string]string{
		"cluster-pki/abcdefghij":               documentFields(t, secrets),
		"node-pki/abcdefghij/" + testNode.Name: documentFields(t, nodeSecrets),
	}
	for _, w := range append(list, node) {
		for path, f := range w.Files {
			if f.Secret == "" {
				continue
			}
			if docs[f.Secret][f.Field] == "" {
				t.Errorf("%s: %s has no %s", path, f.Secret, f.Field)
			}
			if slices.Contains([]string{"admin.key", "user.key", "cloister.key", "front-proxy-ca.key"}, f.Field) ||
				w.Kind == spec.KindNode && f.Field == "ca.key" {
				t.Errorf("%s gets %s", w.Name, f.Field)
			}
		}
	}
}

func documentText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func documentFields(t *testing.T, v any) map[string]string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"cloister.dev/cloister/bench/azure"
	"cloister.dev/cloister/internal/fabric"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

const apiVersion = "?api-version=2024-05-01"

// cloud is an instance and a client of its ARM endpoint, who is patient: az is slow, and the daemon is away at times.
type cloud struct {
	*instance
	azure *azure.Client
	sub   string // /subscriptions/…
}

// newCloud starts an instance that the test ends, and signs in.
func newCloud(t *testing.T, name string) *cloud {
	t.Helper()
	// Sockets of containers' shims lie in a folder of the whole machine: here it is the test's own.
	if err := os.MkdirAll(shimSockets, 0o711); err != nil {
		t.Fatal(err)
	}
	output(t, "mount", "-t", "tmpfs", "tmpfs", shimSockets)
	c := &cloud{instance: newInstance(t, fmt.Sprintf("/cloister/%s-%d", name, os.Getpid()))}
	t.Cleanup(func() {
		if t.Failed() {
			keepLogs(t, c.bin)
		}
		c.cloister("down", "--purge")
	})
	c.cloister("up")
	vars := map[string]string{}
	for line := range strings.Lines(c.cloister("env", "--list")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		vars[name] = value
	}
	c.sub = "/subscriptions/" + vars["ARM_SUBSCRIPTION_ID"]
	c.azure = azure.New(vars["CLOISTER_URL"])
	if err := c.azure.SignIn(t.Context(), vars["ARM_TENANT_ID"], vars["ARM_CLIENT_ID"], vars["ARM_CLIENT_SECRET"]); err != nil {
		t.Fatal(err)
	}
	return c
}

const shimSockets = "/run/containerd/s"

// send asks once.
func (c *cloud) send(method, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 40*time.Second)
	defer cancel()
	return c.azure.Do(ctx, method, path+apiVersion, body)
}

// must asks until it is answered with a success.
func (c *cloud) must(method, path string, body any) {
	c.t.Helper()
	c.eventually(method+" "+path, time.Minute, func() error {
		_, err := c.send(method, path, body)
		return err
	})
}

// eventually wants a condition to hold within a time.
func (c *cloud) eventually(what string, limit time.Duration, holds func() error) {
	c.t.Helper()
	end := time.Now().Add(limit)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		<-tick.C
	}
}

func (c *cloud) group(name string) string { return c.sub + "/resourceGroups/" + name }

func (c *cloud) clusterID(group string) string {
	return c.group(group) + "/providers/Microsoft.ContainerService/managedClusters/c"
}

func (c *cloud) subnet(group string) string {
	return c.group(group) + "/providers/Microsoft.Network/virtualNetworks/vnet/subnets/a"
}

// network makes a group with a network.
func (c *cloud) network(group string) {
	c.t.Helper()
	c.must(http.MethodPut, c.group(group), map[string]any{"location": "eastus"})
	c.must(http.MethodPut, strings.TrimSuffix(c.subnet(group), "/subnets/a"), map[string]any{"location": "eastus", "properties": map[string]any{
		"addressSpace": map[string]any{"addressPrefixes": []string{"10.0.0.0/8"}},
		"subnets":      []any{map[string]any{"name": "a", "properties": map[string]any{"addressPrefix": "10.240.0.0/16"}}},
	}})
}

func (c *cloud) clusterBody(group string, nodes int) map[string]any {
	return map[string]any{
		"location": "eastus", "identity": map[string]any{"type": "SystemAssigned"},
		"properties": map[string]any{
			"dnsPrefix":              group,
			"apiServerAccessProfile": map[string]any{"enablePrivateCluster": true},
			"networkProfile":         map[string]any{"networkPlugin": "azure", "serviceCidr": "10.2.0.0/24", "dnsServiceIP": "10.2.0.10"},
			"agentPoolProfiles":      []any{map[string]any{"name": "np", "mode": "System", "count": nodes, "vmSize": "Standard_DS2_v2", "type": "VirtualMachineScaleSets", "vnetSubnetID": c.subnet(group)}},
		},
	}
}

// state is a resource's provisioningState; "" when there is no such resource.
func (c *cloud) state(id string) (string, error) {
	b, err := c.send(http.MethodGet, id, nil)
	if err != nil {
		if strings.Contains(err.Error(), " 404 ") {
			return "", nil
		}
		return "", err
	}
	var doc struct {
		Properties struct {
			State string `json:"provisioningState"`
		} `json:"properties"`
	}
	err = json.Unmarshal(b, &doc)
	return doc.Properties.State, err
}

// spec is what the store has of the cluster of a group.
func (c *cloud) spec(group string) (found spec.Cluster, err error) {
	err = c.withStore(func(s store.Reader) error {
		docs, _, err := s.List(c.t.Context(), spec.ClusterPrefix)
		if err != nil {
			return err
		}
		for _, d := range docs {
			var one spec.Cluster
			if err := json.Unmarshal(d.Value, &one); err != nil {
				return err
			}
			if strings.EqualFold(one.Resource, c.clusterID(group)) {
				found = one
				return nil
			}
		}
		return errors.New("the store has no such cluster")
	})
	return found, err
}

// withStore reads the store beside the daemon.
func (c *cloud) withStore(read func(store.Reader) error) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	s, err := store.Open(ctx, []string{"unix://" + filepath.Join(c.data, "volumes", "cloister-store-run", "client.sock")})
	if err != nil {
		return err
	}
	return errors.Join(read(s), s.Close())
}

// kube asks a cluster's API server inside the control plane's namespace, as its administrator.
type kube struct {
	client *http.Client
	host   string
}

func (c *cloud) kube(group string) (*kube, error) {
	one, err := c.spec(group)
	if err != nil {
		return nil, err
	}
	b, err := c.send(http.MethodPost, c.clusterID(group)+"/listClusterAdminCredential", nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Kubeconfigs []struct {
			Value []byte `json:"value"`
		} `json:"kubeconfigs"`
	}
	if err := json.Unmarshal(b, &answer); err != nil || len(answer.Kubeconfigs) == 0 {
		return nil, errors.Join(err, errors.New("no kubeconfig"))
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(answer.Kubeconfigs[0].Value)
	if err != nil {
		return nil, err
	}
	f, err := fabric.Look(fabric.Options{RunDir: c.run})
	if err != nil {
		return nil, err
	}
	config.Timeout = 5 * time.Second
	config.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return f.Dial(ctx, "cp-"+one.Name, "tcp", "127.0.0.1:443")
	}
	client, err := rest.HTTPClientFor(config)
	return &kube{client, config.Host}, err
}

// do sends a request with a JSON body, and decodes the answer into v unless it is nil.
func (k *kube) do(ctx context.Context, method, path string, body, v any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, k.host+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusConflict {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if v == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

// well says what a cluster lacks: its state, its API server, as many Ready nodes as wanted and no others.
func (c *cloud) well(group string, nodes int) error {
	state, err := c.state(c.clusterID(group))
	if err != nil {
		return err
	}
	if state == "Failed" {
		b, _ := c.send(http.MethodGet, c.clusterID(group), nil)
		c.t.Fatalf("the cluster of %s failed: %s", group, b)
	}
	if state != "Succeeded" {
		return fmt.Errorf("the cluster of %s is %q", group, state)
	}
	k, err := c.kube(group)
	if err != nil {
		return err
	}
	defer k.client.CloseIdleConnections()
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := k.do(c.t.Context(), http.MethodGet, "/api/v1/nodes", nil, &list); err != nil {
		return err
	}
	if len(list.Items) != nodes {
		return fmt.Errorf("%d nodes are registered, want %d", len(list.Items), nodes)
	}
	for _, n := range list.Items {
		ready := false
		for _, x := range n.Status.Conditions {
			ready = ready || x.Type == "Ready" && x.Status == "True"
		}
		if !ready {
			return fmt.Errorf("%s is not Ready", n.Metadata.Name)
		}
	}
	return nil
}

// partsWell says which part of Cloister does not do well.
func (c *cloud) partsWell() error {
	out, err := exec.Command(c.bin, "status", "--json").CombinedOutput()
	if err != nil {
		return fmt.Errorf("status: %w %s", err, out)
	}
	var st struct {
		Parts []struct {
			Name, Message string
			OK            bool
		}
		Clusters []struct{ ID, State, Nodes, Message string }
	}
	if err := json.Unmarshal(out, &st); err != nil {
		return err
	}
	for _, p := range st.Parts {
		if !p.OK {
			return fmt.Errorf("%s: %s", p.Name, p.Message)
		}
	}
	for _, x := range st.Clusters {
		ready, wanted, _ := strings.Cut(x.Nodes, "/")
		if x.State != "API ready" || ready != wanted {
			return fmt.Errorf("%s: %s, %s nodes %s", x.ID, x.State, x.Nodes, x.Message)
		}
	}
	return nil
}

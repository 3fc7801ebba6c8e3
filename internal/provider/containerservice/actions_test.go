package containerservice_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/spec"
)

// call sends a request to the server and decodes the answer.
func (b *bench) call(method, target, body string) (int, map[string]any) {
	b.t.Helper()
	sep := "?"
	if strings.Contains(target, "?") {
		sep = "&"
	}
	r := httptest.NewRequestWithContext(b.ctx, method, target+sep+"api-version=2025-03-01", strings.NewReader(body))
	w := httptest.NewRecorder()
	b.server.Handler().ServeHTTP(w, r)
	var out map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			b.t.Fatalf("%s %s: %v in %s", method, target, err, w.Body)
		}
	}
	return w.Code, out
}

func (b *bench) kubeconfig(action string) string {
	b.t.Helper()
	status, doc := b.call(http.MethodPost, clusterID+"/"+action, "")
	if status != http.StatusOK {
		b.t.Fatalf("%s: %d %v", action, status, doc)
	}
	text, err := base64.StdEncoding.DecodeString(at(doc, "kubeconfigs.0.value").(string))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func TestCredentials(t *testing.T) {
	b := prepared(t)
	b.write(clusterID, create)
	doc := b.document(clusterID)
	private, public := at(doc, "properties.privateFQDN").(string), at(doc, "properties.fqdn").(string)
	for _, c := range []struct {
		action string
		says   []string
	}{
		{"listClusterUserCredential", []string{"server: https://" + private + ":443\n", "current-context: c\n", "name: clusterUser_rg_c\n", "client-key-data: dWs=\n"}},
		{"listClusterUserCredential?format=exec", []string{"client-key-data: dWs=\n"}},
		{"listClusterAdminCredential", []string{"server: https://" + private + ":443\n", "current-context: c\n", "name: clusterAdmin_rg_c\n", "client-key-data: YWs=\n"}},
		{"listClusterUserCredential?server-fqdn=public", []string{"server: https://" + public + ":443\n"}},
	} {
		text := b.kubeconfig(c.action)
		for _, s := range c.says {
			if !strings.Contains(text, s) {
				t.Errorf("%s: no %q in\n%s", c.action, s, text)
			}
		}
	}
	status, doc := b.call(http.MethodPost, clusterID+"/accessProfiles/clusterUser/listCredential", "")
	if status != http.StatusOK || at(doc, "properties.kubeConfig") == nil {
		t.Errorf("access profile: %d %v", status, doc)
	}
}

func TestStopAndStart(t *testing.T) {
	b := prepared(t)
	b.write(clusterID, create)
	before := b.keys("/spec/")
	if status, doc := b.call(http.MethodPost, clusterID+"/stop", ""); status != http.StatusAccepted {
		t.Fatalf("stop: %d %v", status, doc)
	}
	b.settled(clusterID)
	docs, _, err := b.store.List(b.ctx, spec.NodePrefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if !unmarshal[spec.Node](t, d.Value).Stopped {
			t.Errorf("%s runs in a stopped cluster", d.Key)
		}
	}
	if got := at(b.document(clusterID), "properties.powerState.code"); got != "Stopped" {
		t.Errorf("power state %v", got)
	}
	if _, err := b.server.Write(b.ctx, user, clusterID, unmarshal[map[string]any](t, []byte(create)), ""); code(err) != "OperationNotAllowed" {
		t.Errorf("a write to a stopped cluster: %v", err)
	}
	if status, doc := b.call(http.MethodPost, clusterID+"/start", ""); status != http.StatusAccepted {
		t.Fatalf("start: %d %v", status, doc)
	}
	b.settled(clusterID)
	if got := at(b.document(clusterID), "properties.powerState.code"); got != "Running" {
		t.Errorf("power state %v", got)
	}
	if after := b.keys("/spec/"); strings.Join(before, " ") != strings.Join(after, " ") {
		t.Errorf("stop and start changed what is wanted: %v, %v", before, after)
	}
}

func TestRotate(t *testing.T) {
	b := prepared(t)
	b.write(clusterID, create)
	if status, doc := b.call(http.MethodPost, clusterID+"/rotateClusterCertificates", ""); status != http.StatusAccepted {
		t.Fatalf("rotate: %d %v", status, doc)
	}
	b.settled(clusterID)
	docs, _, err := b.store.List(b.ctx, spec.ClusterPrefix)
	if err != nil || len(docs) != 1 || unmarshal[spec.Cluster](t, docs[0].Value).CertificateGeneration != 1 {
		t.Errorf("clusters %v, %v", docs, err)
	}
}

func TestQuestions(t *testing.T) {
	b := prepared(t)
	b.write(clusterID, create)
	sets := b.keys("/res" + strings.ToLower(nodeGroup) + "/providers/microsoft.compute/")
	const region = sub + "/providers/Microsoft.ContainerService/locations/eastus"
	for _, c := range []struct{ target, path, want string }{
		{clusterID + "/privateLinkResources", "value.0.groupId", "management"},
		{clusterID + "/upgradeProfiles/default", "properties.controlPlaneProfile.kubernetesVersion", "1.37.1"},
		{clusterID + "/agentPools/nodepool1/upgradeProfiles/default", "properties.kubernetesVersion", "1.37.1"},
		{clusterID + "/availableAgentPoolVersions", "properties.agentPoolVersions.0.kubernetesVersion", "1.37.1"},
		{clusterID + "/agentPools", "value.0.properties.provisioningState", "Succeeded"},
		{region + "/kubernetesVersions", "values.0.version", "1.37"},
		{region + "/orchestrators?resource-type=managedClusters", "properties.orchestrators.0.orchestratorVersion", "1.37.1"},
		{strings.TrimPrefix(sets[0], "/res") + "/virtualMachines?$expand=instanceView", "value.0.properties.instanceView.statuses.0.code", "ProvisioningState/succeeded"},
		{strings.TrimPrefix(sets[0], "/res") + "/virtualMachines/2", "instanceId", "2"},
	} {
		status, doc := b.call(http.MethodGet, c.target, "")
		if got := at(doc, c.path); status != http.StatusOK || got != c.want {
			t.Errorf("%s: %d, %s is %v in %v", c.target, status, c.path, got, doc)
		}
	}
	if status, doc := b.call(http.MethodPost, clusterID+"/runCommand", `{"command":"kubectl get pods"}`); status != http.StatusBadRequest || at(doc, "error.code") != "FeatureNotSupported" {
		t.Errorf("runCommand: %d %v", status, doc)
	}
	if status, _ := b.call(http.MethodDelete, strings.TrimPrefix(sets[0], "/res"), ""); status != http.StatusConflict {
		t.Errorf("deleting a pool's scale set: %d", status)
	}
}

// TestPatch changes the tags alone, as `az aks update --tags` of some versions does.
func TestPatch(t *testing.T) {
	b := prepared(t)
	b.write(clusterID, create)
	before := b.document(clusterID)
	if status, doc := b.call(http.MethodPatch, clusterID, `{"tags":{"team":"blue"}}`); status != http.StatusOK || at(doc, "tags.team") != "blue" {
		t.Fatalf("patch: %d %v", status, doc)
	}
	b.settled(clusterID)
	after := b.document(clusterID)
	for _, path := range []string{"properties", "identity", "sku", "location"} {
		x, errX := json.Marshal(at(before, path))
		y, errY := json.Marshal(at(after, path))
		if errX != nil || errY != nil || string(x) != string(y) {
			t.Errorf("%s changed:\n%s\n%s", path, x, y)
		}
	}
}

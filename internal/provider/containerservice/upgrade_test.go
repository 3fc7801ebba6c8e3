package containerservice_test

import (
	"strings"
	"testing"

	"cloister.dev/cloister/internal/spec"
)

func TestUpgrade(t *testing.T) {
	b := prepared(t)
	old := strings.NewReplacer(`"kubernetesVersion":""`, `"kubernetesVersion":"1.36"`, `"orchestratorVersion":""`, `"orchestratorVersion":"1.36"`).Replace(create)
	b.write(clusterID, old)
	if doc := b.document(clusterID); at(doc, "properties.kubernetesVersion") != "1.36" || at(doc, "properties.currentKubernetesVersion") != "1.36.5" {
		t.Errorf("versions %v, %v", at(doc, "properties.kubernetesVersion"), at(doc, "properties.currentKubernetesVersion"))
	}
	versions := func() string {
		var out []string
		docs, _, err := b.store.List(b.ctx, "/spec/")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			switch {
			case strings.HasPrefix(d.Key, spec.ClusterPrefix):
				out = append(out, unmarshal[spec.Cluster](t, d.Value).Version)
			case strings.HasPrefix(d.Key, spec.NodePrefix):
				out = append(out, unmarshal[spec.Node](t, d.Value).Version)
			}
		}
		return strings.Join(out, " ")
	}
	if got := versions(); got != "1.36.5 1.36.5 1.36.5 1.36.5" {
		t.Errorf("made with %s", got)
	}
	// The control plane alone, then the nodes.
	b.write(clusterID, strings.Replace(old, `"kubernetesVersion":"1.36"`, `"kubernetesVersion":"1.37.1"`, 1))
	if got := versions(); got != "1.37.1 1.36.5 1.36.5 1.36.5" {
		t.Errorf("after the control plane: %s", got)
	}
	b.write(clusterID+"/agentPools/nodepool1", `{"properties":{"orchestratorVersion":"1.37.1"}}`)
	if got := versions(); got != "1.37.1 1.37.1 1.37.1 1.37.1" {
		t.Errorf("after the nodes: %s", got)
	}
	for version, want := range map[string]string{"1.36.5": "OperationNotAllowed", "1.40.0": "K8sVersionNotSupported"} {
		_, err := b.server.Write(b.ctx, user, clusterID, unmarshal[map[string]any](t, []byte(strings.Replace(old, `"kubernetesVersion":"1.36"`, `"kubernetesVersion":"`+version+`"`, 1))), "")
		if code(err) != want {
			t.Errorf("to %s: %v", version, err)
		}
	}
}

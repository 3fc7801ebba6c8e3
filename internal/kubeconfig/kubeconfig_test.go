package kubeconfig

import (
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	got, err := Render(Config{
		Cluster: "prod", Server: "https://prod-rg-1234-0a1b2c3d.zone.privatelink.eastus.azmk8s.io:443", CA: "ca",
		User: "clusterUser_rg_prod", Cert: "cert", Key: "key", Context: "prod",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"current-context: prod\n",
		"    server: https://prod-rg-1234-0a1b2c3d.zone.privatelink.eastus.azmk8s.io:443\n",
		"    certificate-authority-data: Y2E=\n", "    client-certificate-data: Y2VydA==\n", "    client-key-data: a2V5\n",
		"    user: clusterUser_rg_prod\n",
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestRenderQuotes(t *testing.T) {
	got, err := Render(Config{Context: "a\nusers: []"})
	if err != nil || strings.Contains(string(got), "\nusers: []") {
		t.Errorf("a name left its place (%v):\n%s", err, got)
	}
}

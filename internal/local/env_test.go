package local

import (
	"os/exec"
	"strings"
	"testing"
)

func TestExportsAndBack(t *testing.T) {
	vars := Environment("https://198.51.100.2", "/b/ca.pem", "/h", &Credentials{ClientSecret: "a'b c"}, "example.com")
	script := "export KUBECONFIG=/mine; unset AZURE_CONFIG_DIR; " + Exports(vars) + "\n" + Exports(vars) + "\n" +
		`printf '%s|%s|%s\n' "$KUBECONFIG" "$AZURE_CLIENT_SECRET" "$NO_PROXY"` + "\n" + Unsets(vars) + "\n" +
		`printf '%s|%s\n' "$KUBECONFIG" "${AZURE_CONFIG_DIR-unset}"; env | grep -c '^CLOISTER_' || true`
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "NO_PROXY=example.com"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	want := []string{"/h/kubeconfig|a'b c|example.com,198.51.100.2,localhost,127.0.0.1,.azmk8s.io", "/mine|unset", "0"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got\n%s\nwant\n%s", out, strings.Join(want, "\n"))
	}
	if strings.Contains(Exports(vars), "\n") {
		t.Fatal("exports is more than one line")
	}
}

package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Credentials is the administrator's file, which only root reads.
type Credentials struct {
	TenantID       string `json:"tenantId"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret"`
	User           string `json:"user"`
	Password       string `json:"password"`
}

// Variable is one environment variable for the clients.
type Variable struct{ Name, Value string }

// Environment lists the variables that make az, Terraform, kubectl and the
// SDKs talk to Cloister at url (https://host), with files of their own below home.
// noProxy is what NO_PROXY holds already.
func Environment(url, bundle, home string, cred *Credentials, noProxy string) []Variable {
	host := strings.TrimPrefix(url, "https://")
	addr, _, _ := strings.Cut(host, ":")
	proxies := joinUnique(noProxy, addr, "localhost", "127.0.0.1", ".azmk8s.io")
	vars := []Variable{
		{"AZURE_CONFIG_DIR", filepath.Join(home, "azure")},
		{"KUBECONFIG", filepath.Join(home, "kubeconfig")},
		{"REQUESTS_CA_BUNDLE", bundle}, {"SSL_CERT_FILE", bundle}, {"NODE_EXTRA_CA_CERTS", bundle}, {"CURL_CA_BUNDLE", bundle},
		{"NO_PROXY", proxies}, {"no_proxy", proxies},
		{"CLOISTER_URL", url},
		{"AZURE_AUTHORITY_HOST", url + "/"},
		{"AZURE_CORE_INSTANCE_DISCOVERY", "false"}, {"AZURE_CORE_COLLECT_TELEMETRY", "false"},
		{"ARM_METADATA_HOSTNAME", host}, {"ARM_METADATA_HOST", host},
	}
	if cred != nil {
		for _, prefix := range []string{"AZURE_", "ARM_"} {
			vars = append(vars, Variable{prefix + "TENANT_ID", cred.TenantID}, Variable{prefix + "SUBSCRIPTION_ID", cred.SubscriptionID},
				Variable{prefix + "CLIENT_ID", cred.ClientID}, Variable{prefix + "CLIENT_SECRET", cred.ClientSecret})
		}
	}
	return vars
}

// Exports renders the variables as one line for a POSIX shell. It keeps the
// values that it replaces, for Unsets.
func Exports(vars []Variable) string {
	var b strings.Builder
	for _, v := range vars {
		// Repeating it must not take our own value for the shell's old one.
		fmt.Fprintf(&b, `[ -n "${CLOISTER_SET_%[1]s+x}" ] || { [ -z "${%[1]s+x}" ] || export CLOISTER_OLD_%[1]s="$%[1]s"; export CLOISTER_SET_%[1]s=1; }; export %[1]s=%[2]s; `, v.Name, quote(v.Value))
	}
	return strings.TrimSpace(b.String())
}

// Unsets renders the line that takes Exports back.
func Unsets(vars []Variable) string {
	var b strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&b, `if [ -n "${CLOISTER_OLD_%[1]s+x}" ]; then export %[1]s="$CLOISTER_OLD_%[1]s"; elif [ -n "${CLOISTER_SET_%[1]s+x}" ]; then unset %[1]s; fi; unset CLOISTER_OLD_%[1]s CLOISTER_SET_%[1]s; `, v.Name)
	}
	return strings.TrimSpace(b.String())
}

// WriteBundle writes the system's certificates and Cloister's own to path: it
// adds to what the clients trust, and replaces nothing. systemFiles are tried in order.
func WriteBundle(path string, ca []byte, systemFiles []string, write func(string, []byte, os.FileMode) error) error {
	var out []byte
	for _, f := range systemFiles {
		if b, err := os.ReadFile(f); err == nil && len(b) > 0 {
			out = append(b, '\n')
			break
		}
	}
	return write(path, append(out, ca...), 0o644)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func joinUnique(list string, more ...string) string {
	var out []string
	seen := map[string]bool{}
	for _, s := range append(strings.Split(list, ","), more...) {
		if s = strings.TrimSpace(s); s != "" && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return strings.Join(out, ",")
}

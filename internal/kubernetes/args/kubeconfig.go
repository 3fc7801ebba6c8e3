package args

import (
	"encoding/json"

	"cloister.dev/cloister/internal/spec"
)

// Kubeconfig is a client configuration whose certificates are files of the same
// container, so that it holds no secret itself.
func Kubeconfig(server, serverName, caFile, certFile, keyFile string) string {
	cluster := map[string]any{"server": server, "certificate-authority": caFile}
	if serverName != "" {
		cluster["tls-server-name"] = serverName
	}
	return document(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "default",
		"clusters": []any{map[string]any{"name": "default", "cluster": cluster}},
		"users":    []any{map[string]any{"name": "default", "user": map[string]any{"client-certificate": certFile, "client-key": keyFile}}},
		"contexts": []any{map[string]any{"name": "default", "context": map[string]any{"cluster": "default", "user": "default"}}},
	})
}

// LocalKubeconfig is the one of a part of the control plane, by the name of its certificate.
func LocalKubeconfig(cert string) string {
	return Kubeconfig("https://127.0.0.1:443", "", PKIDir+"/ca.crt", PKIDir+"/"+cert+".crt", PKIDir+"/"+cert+".key")
}

// NodeKubeconfig is the one of a node's program, by the name of its certificate.
func NodeKubeconfig(c spec.Cluster, cert string) string {
	return Kubeconfig(APIServerURL(c), "", NodePKIDir+"/ca.crt", NodePKIDir+"/"+cert+".crt", NodePKIDir+"/"+cert+".key")
}

// document renders JSON, which every reader of YAML takes, too. The values are
// made of texts, numbers, lists and maps only, and so can always be rendered.
func document(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

package args

import "cloister.dev/cloister/internal/spec"

// Proxy is kube-proxy's configuration file:
// https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/
func Proxy(n spec.Node) string {
	return document(map[string]any{
		"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
		"clientConnection": map[string]any{"kubeconfig": ProxyKubeconfig},
		"hostnameOverride": n.Name, "bindAddress": n.Address.String(), "nodePortAddresses": []string{"primary"},
		"mode":     "nftables",
		"nftables": map[string]any{"syncPeriod": "30s", "minSyncPeriod": "100ms"},
		// Pods and nodes share the subnet: what comes from it is local.
		"detectLocalMode": "ClusterCIDR", "clusterCIDR": n.SubnetCIDR.String(),
		// A network namespace may not change the machine's limits.
		"conntrack":          map[string]any{"maxPerCore": 0, "min": 0, "tcpBeLiberal": false},
		"healthzBindAddress": n.Address.String() + ":10256", "metricsBindAddress": "127.0.0.1:10249",
		"logging": map[string]any{"verbosity": 1},
	})
}

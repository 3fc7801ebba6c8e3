package args

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"cloister.dev/cloister/internal/spec"
)

// What a node keeps for its own programs out of its size.
const (
	kubeReservedMilliCPU = 100
	kubeReservedMemory   = 512 << 20
	evictionMemory       = 100 << 20
)

// Kubelet is the kubelet's configuration file:
// https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
// A node sees the whole machine below it: what the node's size does not include is reserved.
func Kubelet(n spec.Node, c spec.Cluster, h Host) string {
	return document(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true, "cacheTTL": "2m"},
			"x509":      map[string]any{"clientCAFile": NodePKIDir + "/ca.crt"},
		},
		"authorization": map[string]any{"mode": "Webhook"},
		"address":       n.Address.String(), "readOnlyPort": 0,
		"healthzBindAddress": "127.0.0.1", "healthzPort": 10248,
		"tlsCertFile": NodePKIDir + "/kubelet.crt", "tlsPrivateKeyFile": NodePKIDir + "/kubelet.key",
		// The files are what it begins with: of both it asks the cluster for later ones.
		"rotateCertificates": true, "serverTLSBootstrap": true,

		"clusterDomain": "cluster.local", "clusterDNS": []string{c.DNSService.String()},
		"resolvConf": ResolvConf,
		"providerID": n.ProviderID, "maxPods": n.MaxPods,
		"registerWithTaints": Taints(n.Register.Taints),

		"containerRuntimeEndpoint": "unix://" + ContainerdSocket,
		"failCgroupV1":             false, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": true,
		"enforceNodeAllocatable": []string{"pods"},
		// It finds the settings that it wants in files of the node (cmd/cloister-guest): it has none to write.
		"protectKernelDefaults": true, "failSwapOn": false,
		"podPidsLimit": 4096, "serializeImagePulls": false, "maxParallelImagePulls": 4,

		// Its images came with the node and come back from nowhere.
		"imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
		// Its disk is the machine's: a share of it says nothing.
		"evictionHard": map[string]string{
			"memory.available": quantity(evictionMemory), "nodefs.available": "1Gi", "imagefs.available": "1Gi",
			"nodefs.inodesFree": "10000", "imagefs.inodesFree": "10000", "pid.available": "500",
		},
		"systemReserved": map[string]string{
			"cpu":    fmt.Sprintf("%dm", max(0, h.MilliCPU-n.MilliCPU)),
			"memory": quantity(max(0, h.MemoryBytes-n.MemoryBytes)),
		},
		"kubeReserved": map[string]string{
			"cpu":    fmt.Sprintf("%dm", kubeReservedMilliCPU),
			"memory": quantity(kubeReservedMemory),
		},
		"shutdownGracePeriod": "0s", "nodeStatusReportFrequency": "5m", "nodeStatusUpdateFrequency": "10s",
		"enableDebuggingHandlers": true, "enableProfilingHandler": false, "enableDebugFlagsHandler": false,
		"logging": map[string]any{"verbosity": 1},
	})
}

// KubeletArgs is the kubelet's command line, without the program: what the file cannot say.
// Rotated certificates are kept apart by the authority that signed them.
func KubeletArgs(n spec.Node, authority string) []string {
	return []string{
		"--config=" + KubeletConfig, "--kubeconfig=" + KubeletKubeconfig,
		"--hostname-override=" + n.Name, "--node-ip=" + n.Address.String(),
		"--cert-dir=" + kubeletCertDir(authority),
		"--node-labels=" + strings.Join(kubeletLabels(n.Register.Labels), ","),
	}
}

func kubeletCertDir(authority string) string { return "/var/lib/kubelet/pki-" + authority }

// kubeletRenews are the links that a kubelet sets to its newest certificates.
func kubeletRenews(authority string) []string {
	dir := kubeletCertDir(authority)
	return []string{dir + "/kubelet-client-current.pem", dir + "/kubelet-server-current.pem"}
}

// kubeletLabels are those that a kubelet may set on its own node: any outside
// Kubernetes' own domains, and the few inside that the NodeRestriction
// admission lets pass. Cloister sets the others.
func kubeletLabels(labels map[string]string) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if KubeletMaySet(k) {
			list = append(list, k+"="+labels[k])
		}
	}
	return list
}

// KubeletMaySet says whether a kubelet may set the label on its own node.
func KubeletMaySet(label string) bool {
	domain, _, ok := strings.Cut(label, "/")
	if !ok {
		return true
	}
	in := func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) }
	switch {
	case in("kubelet.kubernetes.io"), in("node.kubernetes.io"), domain == "topology.kubernetes.io":
		return true
	case label == "kubernetes.io/hostname", label == "kubernetes.io/arch", label == "kubernetes.io/os":
		return true
	}
	return !in("kubernetes.io") && !in("k8s.io")
}

// Taints reads key=value:Effect and key:Effect; others are left out, having been refused long before.
func Taints(list []string) []corev1.Taint {
	out := []corev1.Taint{}
	for _, t := range list {
		kv, effect, ok := strings.Cut(t, ":")
		if !ok {
			continue
		}
		key, value, _ := strings.Cut(kv, "=")
		out = append(out, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)})
	}
	return out
}

func quantity(bytes int64) string { return fmt.Sprintf("%dKi", bytes>>10) }

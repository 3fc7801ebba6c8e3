package kubernetes

import (
	"encoding/json"

	"cloister.dev/cloister/internal/kubernetes/args"
	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/spec"
)

// nodeSecrets are the fields of pki.Node that a node gets as files.
var nodeSecrets = []string{
	"ca.crt", "kubelet-client.crt", "kubelet-client.key", "kubelet.crt", "kubelet.key", "kube-proxy.crt", "kube-proxy.key",
}

// NodeWorkload is a node of a cluster: one container of the node's size.
func NodeWorkload(n spec.Node, c spec.Cluster, secrets *pki.Node, h args.Host) (spec.Workload, error) {
	guest, err := json.Marshal(args.NewGuest(c, n, pki.Fingerprint(secrets.CACert)))
	if err != nil {
		return spec.Workload{}, err
	}
	name := nodeWorkload(n.Cluster, n.Name)
	w := spec.Workload{
		Name: name, Kind: spec.KindNode, Owner: spec.NodeKey(n.Cluster, n.Name), Image: "node-v" + n.Version,
		// For kubelet, containerd, its shims and kube-proxy: they allocate little once they run.
		Env:      []string{"GOGC=50"},
		Hostname: n.Name, Sandbox: n.Sandbox,
		Files: map[string]spec.File{
			args.GuestFile:         {Text: string(guest)},
			args.KubeletConfig:     {Text: args.Kubelet(n, c, h)},
			args.KubeletKubeconfig: {Text: args.NodeKubeconfig(c, "kubelet-client")},
			args.ProxyConfig:       {Text: args.Proxy(n)},
			args.ProxyKubeconfig:   {Text: args.NodeKubeconfig(c, "kube-proxy")},
			args.CNIConfig:         {Text: args.CNI(n)},
			args.ContainerdConfig:  {Text: args.Containerd(h)},
			args.ResolvConf:        {Text: args.ResolvConfText},
		},
		Mounts: []spec.Mount{
			{Volume: name + "-containerd", Target: "/var/lib/containerd"},
			{Volume: name + "-kubelet", Target: "/var/lib/kubelet", Propagation: "rshared"},
			{Volume: name + "-logs", Target: "/var/log/pods"},
			{Volume: name + "-volumes", Target: args.VolumesDir},
		},
		Limits:     spec.Limits{MilliCPU: n.MilliCPU, MemoryBytes: n.MemoryBytes},
		Stopped:    n.Stopped,
		Generation: c.CertificateGeneration, Renewed: pki.Fingerprint(secrets.ServerCert),
	}
	for _, field := range nodeSecrets {
		w.Files[args.NodePKIDir+"/"+field] = liveFile(nodeSecretKey(n.Cluster, n.Name), field)
	}
	return w, nil
}

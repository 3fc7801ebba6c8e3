// Package args says what the programs of a cluster are started with: command
// lines and configuration files, as pure functions of what is wanted.
package args

import "cloister.dev/cloister/internal/spec"

// Where things are in the containers of a control plane.
const (
	EtcdSocketDir = "/run/etcd" // a folder: a bind-mounted socket refuses connections after etcd's restart
	EtcdDataDir   = "/var/lib/etcd"
	PKIDir        = "/etc/kubernetes/pki"
	ConfigDir     = "/etc/kubernetes"
)

// Where things are in a node's container.
const (
	NodePKIDir        = "/etc/kubernetes/pki"
	KubeletConfig     = "/etc/kubernetes/kubelet.yaml"
	KubeletKubeconfig = "/etc/kubernetes/kubelet.kubeconfig"
	ProxyConfig       = "/etc/kubernetes/kube-proxy.yaml"
	ProxyKubeconfig   = "/etc/kubernetes/kube-proxy.kubeconfig"
	CNIConfig         = "/etc/cni/net.d/10-cloister.conflist"
	CNIBinDir         = "/opt/cni/bin"
	ContainerdConfig  = "/etc/containerd/config.toml"
	ContainerdSocket  = "/run/containerd/containerd.sock"
	ResolvConf        = "/etc/resolv.conf"
)

// Resolver is the platform's DNS address inside every virtual network.
const Resolver = "168.63.129.16"

// ResolvConfText is the resolver's configuration in control planes and nodes.
const ResolvConfText = "nameserver " + Resolver + "\noptions ndots:1 timeout:2 attempts:3\n"

// Host is what the machine below the nodes is like.
type Host struct {
	MilliCPU    int64
	MemoryBytes int64
	// RestrictOOMScore: containers may not lower their score, because the host
	// lacks CAP_SYS_RESOURCE.
	RestrictOOMScore bool
}

// APIServerURL is where a cluster's nodes and users find its API server.
func APIServerURL(c spec.Cluster) string { return "https://" + c.ServerName() + ":443" }

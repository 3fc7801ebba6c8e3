package args

import "cloister.dev/cloister/internal/spec"

// GuestFile is what a node's init reads.
const GuestFile = "/etc/cloister/node.json"

// VolumesDir is where a node keeps what pods store in persistent volumes, a
// folder for each: it stays when the node's container is made anew.
const VolumesDir = "/var/lib/kubernetes/volumes"

// Guest is the document of a node's init: the programs that it keeps running,
// and the images (archives in the node's own image) that containerd gets before.
type Guest struct {
	Processes []Process `json:"processes"`
	Images    []string  `json:"images,omitempty"`
	Await     Await     `json:"await"`
}

// Await is whose answer a node waits for, some seconds at most, before it starts what needs it.
type Await struct {
	URL       string `json:"url"`       // answers 200 when it is ready
	Authority string `json:"authority"` // file with the certificate of who signed its certificate
}

// Process is one program of a node.
type Process struct {
	Name string   `json:"name"`
	Args []string `json:"args"` // args[0] is the program
	// After names the processes that must be ready before this one starts.
	After []string `json:"after,omitempty"`
	// Await has the process wait for Guest.Await before its first start.
	Await bool `json:"await,omitempty"`
	// Ready says how the process shows that it is ready: unix://<path>, a socket that takes connections.
	Ready string `json:"ready,omitempty"`
	// Renews are files with certificates that the process keeps renewing; what has ended of them is removed before a start.
	Renews []string `json:"renews,omitempty"`
}

// NewGuest is a node's programs. The kubelet asks for its API server until it answers; kube-proxy and images, which are of no use
// before, wait: the API server of a new cluster needs the processors and the disk.
func NewGuest(c spec.Cluster, n spec.Node, authority string) Guest {
	return Guest{
		Await: Await{URL: APIServerURL(c) + "/readyz", Authority: NodePKIDir + "/ca.crt"},
		Processes: []Process{
			{Name: "containerd", Args: []string{"containerd", "--config=" + ContainerdConfig}, Ready: "unix://" + ContainerdSocket},
			{Name: "kubelet", Args: append([]string{"kubelet"}, KubeletArgs(n, authority)...), After: []string{"containerd"}, Renews: kubeletRenews(authority)},
			{Name: "kube-proxy", Args: []string{"kube-proxy", "--config=" + ProxyConfig}, Await: true},
		},
	}
}

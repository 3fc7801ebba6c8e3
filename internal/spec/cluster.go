package spec

import "net/netip"

// Cluster is one hosted Kubernetes cluster: what the resource provider wants.
// internal/kubernetes turns it into certificates, workloads and add-ons.
type Cluster struct {
	Name        string       `json:"name"`     // short and unique, [a-z0-9]{10}; prefix of its workloads and sandboxes
	Resource    string       `json:"resource"` // managed cluster's id as written
	Version     string       `json:"version"`  // 1.37.1
	Endpoint    netip.Addr   `json:"endpoint"` // private endpoint's address: what the API server advertises
	PrivateFQDN string       `json:"privateFQDN,omitempty"`
	PublicFQDN  string       `json:"publicFQDN,omitempty"`
	ServiceCIDR netip.Prefix `json:"serviceCIDR"`
	DNSService  netip.Addr   `json:"dnsService"`
	Issuer      string       `json:"issuer"`     // URL of the service account issuer
	Store       string       `json:"store"`      // "etcd": one of its own; other kinds later
	ReturnPath  string       `json:"returnPath"` // "direct"; "tunnel" later
	Stopped     bool         `json:"stopped,omitempty"`
	// CertificateGeneration goes up to have every certificate made anew.
	CertificateGeneration int64 `json:"certificateGeneration,omitempty"`
}

// ClusterStatus is what internal/kubernetes reports.
type ClusterStatus struct {
	APIReady  bool   `json:"apiReady"`            // answers /readyz, and the service account `default` exists
	AddonsSet bool   `json:"addonsSet,omitempty"` // add-ons are applied (not: running)
	Version   string `json:"version,omitempty"`   // as the API server reports it
	UID       string `json:"uid,omitempty"`       // of kube-system
	Message   string `json:"message,omitempty"`
	// CertificateGeneration is the one with which the API server answered.
	CertificateGeneration int64 `json:"certificateGeneration,omitempty"`
}

// ServerName is the host name in a cluster's kubeconfigs: the private name, or
// the public one where there is no private zone.
func (c Cluster) ServerName() string {
	if c.PrivateFQDN != "" {
		return c.PrivateFQDN
	}
	return c.PublicFQDN
}

// Node is one node of a cluster.
type Node struct {
	Name        string            `json:"name"`    // aks-nodepool1-12345678-vmss000000, unique within the cluster
	Cluster     string            `json:"cluster"` // Cluster.Name
	Pool        string            `json:"pool"`
	Version     string            `json:"version"`
	NIC         string            `json:"nic"`     // NIC.Name
	Sandbox     string            `json:"sandbox"` // as in the NIC
	Address     netip.Addr        `json:"address"`
	SubnetCIDR  netip.Prefix      `json:"subnetCIDR"`
	PodIPs      []netip.Addr      `json:"podIPs"`
	MaxPods     int               `json:"maxPods"`
	MilliCPU    int64             `json:"milliCPU"`
	MemoryBytes int64             `json:"memoryBytes"`
	Labels      map[string]string `json:"labels,omitempty"` // all of them, also those that a kubelet may not set
	Taints      []string          `json:"taints,omitempty"` // key=value:Effect
	Register    Registration      `json:"register"`
	ProviderID  string            `json:"providerID"`
	Stopped     bool              `json:"stopped,omitempty"`
	// Removing has the node cordoned, drained, its object deleted and its
	// workload ended; NodeStatus.Removed says when.
	Removing bool `json:"removing,omitempty"`
}

// Registration is what a kubelet says of its node when it registers it: labels and taints as they were when
// the node was made. Later changes go to the node's object, and do not restart the node.
type Registration struct {
	Labels map[string]string `json:"labels,omitempty"`
	Taints []string          `json:"taints,omitempty"`
}

// NodeStatus is what internal/kubernetes reports.
type NodeStatus struct {
	Registered bool   `json:"registered"`
	Ready      bool   `json:"ready"`
	Version    string `json:"version,omitempty"`
	Message    string `json:"message,omitempty"`
	Stopped    bool   `json:"stopped,omitempty"` // its container has ended, as the spec wants
	Removed    bool   `json:"removed,omitempty"`
	// CertificateGeneration is the one that its container was made with.
	CertificateGeneration int64 `json:"certificateGeneration,omitempty"`
}

// ClusterSecrets is the document at SecretKey("cluster", name): all PEM, made
// by internal/kubernetes, read by the resource provider for kubeconfigs.
type ClusterSecrets struct {
	CA        string `json:"ca"`
	AdminCert string `json:"adminCert"` // group system:masters
	AdminKey  string `json:"adminKey"`
	UserCert  string `json:"userCert"` // user clusterUser, bound by RBAC to the role edit/view of AKS
	UserKey   string `json:"userKey"`
}

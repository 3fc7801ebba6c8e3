package spec

import "time"

// Workload is one container that the engine keeps running. Several workloads
// may share a sandbox (a control plane and its etcd do).
type Workload struct {
	Name     string            `json:"name"` // unique on the host, [a-z0-9-], 63 characters at most
	Kind     Kind              `json:"kind"`
	Owner    string            `json:"owner,omitempty"` // key of the spec or resource that wants it
	Image    string            `json:"image"`           // name of a built image, e.g. "kube-v1.37.1", "etcd", "node-v1.37.1"
	Args     []string          `json:"args,omitempty"`  // process arguments; args[0] is the program; empty: the image's entrypoint
	Env      []string          `json:"env,omitempty"`
	Hostname string            `json:"hostname,omitempty"`
	Sandbox  string            `json:"sandbox,omitempty"` // network namespace it runs in; empty: the host's
	Files    map[string]File   `json:"files,omitempty"`   // absolute path in the container -> content, mounted read-only
	Mounts   []Mount           `json:"mounts,omitempty"`
	Limits   Limits            `json:"limits"`
	Stopped  bool              `json:"stopped,omitempty"` // keep it (volumes, sandbox), but not running
	Labels   map[string]string `json:"labels,omitempty"`
	// Generation goes up to have the workload made anew; the status repeats the one that runs.
	Generation int64 `json:"generation,omitempty"`
	// Renewed changes when the content of live files does: what runs stays, and gets the new files.
	Renewed string `json:"renewed,omitempty"`
}

// Kind chooses the engine's profile: capabilities, devices, cgroups, mounts of /proc and /sys.
type Kind string

// The kinds of workload.
const (
	KindSystem       Kind = "system"        // unprivileged process, no capability but NET_BIND_SERVICE (etcd)
	KindResolver     Kind = "resolver"      // enters network namespaces: SYS_ADMIN, NET_BIND_SERVICE
	KindControlPlane Kind = "control-plane" // as KindSystem
	KindNode         Kind = "node"          // runs kubelet, containerd, runc, kube-proxy
	KindMachine      Kind = "machine"       // a virtual machine: systemd inside
)

// File is a file's content, by value or by the key of a secret document
// (a JSON object of name -> text) and the name in it.
type File struct {
	Text   string `json:"text,omitempty"`
	Secret string `json:"secret,omitempty"` // key below /secret/
	Field  string `json:"field,omitempty"`
	Mode   uint32 `json:"mode,omitempty"` // 0: 0644, or 0600 for a secret
	// Live: the content may change while the workload runs, and it is the program that sees to it. The
	// file's folder is mounted as a whole, and so holds live files and nothing else.
	Live bool `json:"live,omitempty"`
}

// Mount puts a volume of the engine, or a folder of Cloister's run directory, into the container.
type Mount struct {
	// Volume names a folder that the engine makes below its data directory and
	// removes with the owner; workloads that name the same volume share it.
	Volume string `json:"volume,omitempty"`
	// Host is a folder of the host, for the platform's own workloads only.
	Host     string `json:"host,omitempty"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly,omitempty"`
	// Propagation is "", "rshared" or "rslave".
	Propagation string `json:"propagation,omitempty"`
}

// Limits bound a workload. Zero means no limit.
type Limits struct {
	MilliCPU    int64 `json:"milliCPU,omitempty"`
	MemoryBytes int64 `json:"memoryBytes,omitempty"`
}

// Phase is where a workload stands.
type Phase string

// The phases of a workload.
const (
	PhasePending Phase = "Pending" // waits for its image, sandbox or network
	PhaseRunning Phase = "Running"
	PhaseExited  Phase = "Exited"  // it will be started again, with backoff
	PhaseStopped Phase = "Stopped" // as wanted
	PhaseFailed  Phase = "Failed"  // cannot start; Message says why
)

// WorkloadStatus is what the engine reports.
type WorkloadStatus struct {
	Phase     Phase     `json:"phase"`
	Message   string    `json:"message,omitempty"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	Restarts  int       `json:"restarts,omitempty"`
	Image     string    `json:"image,omitempty"` // digest that runs
	// Generation is the one of the spec that it was made by.
	Generation int64 `json:"generation,omitempty"`
}

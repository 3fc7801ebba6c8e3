package containers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister.dev/cloister/internal/engine"
)

// container runs a program in a privileged container of a node's containerd, and returns what it printed.
func (h *host) container(t *testing.T, name, root string, args ...string) string {
	t.Helper()
	text, err := json.Marshal(h.privileged(t, name, root, args...))
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, name+"-containerd", "privileged.json", text)
	var out, problems bytes.Buffer
	status, err := h.Exec(t.Context(), name, []string{"ctr", "--namespace", "k8s.io", "run", "--rm", "--config", "/var/lib/containerd/privileged.json", "privileged"}, engine.Streams{Out: &out, Err: &problems})
	if err != nil || status != 0 {
		t.Fatalf("a container in the node: status %d, %v: %s%s", status, err, out.String(), problems.String())
	}
	return out.String()
}

// privileged is what the node's containerd makes of a privileged pod: all capabilities that the node
// has, no seccomp profile of its own, nothing masked, everything writable, a folder of the node's.
func (h *host) privileged(t *testing.T, name, root string, args ...string) *specs.Spec {
	t.Helper()
	status, ok := h.run(t, name, "sh", "-c", "sed -n 's/^CapBnd:\t//p' /proc/self/status")
	var bits uint64
	if _, err := fmt.Sscanf(status, "%x", &bits); !ok || err != nil {
		t.Fatalf("capabilities of the node: %v: %s", err, status)
	}
	own := names(bits)
	kinds := []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.CgroupNamespace}}
	return &specs.Spec{
		Version:  specs.Version,
		Root:     &specs.Root{Path: root},
		Hostname: "privileged",
		Process: &specs.Process{
			Args: args, Cwd: "/", Env: []string{"PATH=/"},
			Capabilities: &specs.LinuxCapabilities{Bounding: own, Effective: own, Permitted: own},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "rw"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "rw"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid"}},
			{Destination: "/volume", Type: "bind", Source: "/var/lib/containerd", Options: []string{"rbind", "rw"}},
		},
		Linux: &specs.Linux{
			CgroupsPath: "/privileged", Namespaces: kinds,
			Resources: &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
		},
	}
}

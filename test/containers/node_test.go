package containers

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/engine"
	"cloister.dev/cloister/internal/spec"
)

const nodeContainerd = `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "cloister.internal/pause:1"
`

// run runs a command in a container, and returns what it printed and whether it ended well.
func (h *host) run(t *testing.T, name string, args ...string) (string, bool) {
	t.Helper()
	// Two: both are written at the same time.
	var out, problems bytes.Buffer
	status, err := h.Exec(t.Context(), name, args, engine.Streams{Out: &out, Err: &problems})
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	if status != 0 {
		return out.String() + problems.String(), false
	}
	return out.String(), true
}

var nodeLimits = spec.Limits{MilliCPU: 2000, MemoryBytes: 2 << 30}

// node runs a node with the name: containerd alone, in a network namespace of its own.
func (h *host) node(t *testing.T, name string) {
	t.Helper()
	netns := fmt.Sprintf("engine-%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", netns).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", netns).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	files := map[string]string{
		"/etc/cloister/node.json": `{"processes":[{"name":"containerd","args":["containerd","--config=/etc/containerd/config.toml"],
			"ready":"unix:///run/containerd/containerd.sock"}]}`,
		"/etc/containerd/config.toml": nodeContainerd,
	}
	w := spec.Workload{
		Name: name, Kind: spec.KindNode, Image: "node-v1.37.1", Hostname: "aks-test-0", Sandbox: netns, Files: map[string]spec.File{},
		Mounts: []spec.Mount{{Volume: name + "-containerd", Target: "/var/lib/containerd"}, {Volume: name + "-kubelet", Target: "/var/lib/kubelet", Propagation: "rshared"}},
		Limits: nodeLimits,
	}
	content := map[string][]byte{}
	for path, text := range files {
		w.Files[path], content[path] = spec.File{Text: text}, []byte(text)
	}
	if st, err := h.Apply(t.Context(), w, "/run/netns/"+netns, content); err != nil || st.Phase != spec.PhaseRunning {
		t.Fatalf("%+v, %v", st, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			var log bytes.Buffer
			if err := h.Logs(t.Context(), name, false, &log); err == nil {
				t.Logf("the node's log:\n%s", log.String())
			}
		}
	})
}

// A node runs containers of its own, and does not reach the machine below it.
func TestNode(t *testing.T) {
	h := newHost(t, "node-v1.37.1")
	const name = "node-test"
	h.node(t, name)
	ctr := []string{"ctr", "--namespace", "k8s.io"}
	for _, image := range []string{"pause", "hello", "coredns", "metrics-server"} {
		until(t, "the image "+image, func() bool {
			out, ok := h.run(t, name, append(ctr, "images", "list", "-q")...)
			return ok && strings.Contains(out, "cloister.internal/"+image+":1")
		})
	}
	if out, ok := h.run(t, name, "sh", "-ec", "mkdir /run/hello && "+strings.Join(ctr, " ")+" images mount --rw cloister.internal/hello:1 /run/hello"); !ok {
		t.Fatalf("mount an image: %s", out)
	}
	if out := h.container(t, name, "/run/hello", "/hello", "hostname"); strings.TrimSpace(out) != "privileged" {
		t.Errorf("a container in the node: %q", out)
	}

	disk := loop(t)
	for _, c := range []struct {
		what, script string
		want         bool
	}{
		{"settings of its network", "echo 1 > /proc/sys/net/ipv4/ip_forward", true},
		{"settings of the machine", "echo 1 > /proc/sys/vm/swappiness", false},
		{"setting the clock", "date -s @1", false},
		{"keys of the kernel", "echo b > /proc/sysrq-trigger", false},
		{"the machine's disk", "mknod /disk b $(stat -c '%Hd %Ld' /var/lib/containerd) && head -c1 /disk", false},
		{"another disk of the machine", "mknod /loop b " + disk + " && head -c1 /loop", false},
		{"that disk, with a rule for devices of the node's own", "echo 'b *:* rwm' > /sys/fs/cgroup/devices/devices.allow; head -c1 /loop", false},
		{"a device's node alone", "[ -b /loop ]", true},
		{"a hierarchy of control groups of its own", "mkdir -p /tmp/h && mount -t cgroup -o none,name=own own /tmp/h", false},
		{"the machine's memory", "mknod /tmp/mem c 1 1 && head -c1 /tmp/mem", false},
		{"the machine's log", "dmesg -S", false},
		{"cgroups of its own", "d=$(ls -d /sys/fs/cgroup/memory /sys/fs/cgroup 2>/dev/null | head -1); mkdir $d/test && rmdir $d/test", true},
		{"mounts that pods see", "grep -q ' /var/lib/kubelet .*shared:' /proc/self/mountinfo", true},
		{"many open files", "[ $(ulimit -n) -gt 4096 ]", true},
		{"an init of less than 10 MB", "[ $(awk '/VmRSS/ {print $2}' /proc/1/status) -lt 10240 ]", true},
		{"its own name", "grep -q aks-test-0 /etc/hosts && [ $(hostname) = aks-test-0 ]", true},
	} {
		if out, ok := h.run(t, name, "sh", "-c", c.script); ok != c.want {
			t.Errorf("%s: %t, want %t: %s", c.what, ok, c.want, out)
		}
	}

	if err := h.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	h.nothingLeft(t, name)
}

// loop makes a disk that this machine's root reads, and returns its numbers.
func loop(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).CombinedOutput()
	if err != nil {
		t.Fatalf("losetup: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	f, err := os.Open(device)
	if err != nil {
		t.Fatalf("this machine's root does not read %s, which makes the test worthless: %v", device, err)
	}
	defer func() { _ = f.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
}

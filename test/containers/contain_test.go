package containers

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cloister.dev/cloister/test/contain"
)

// Root in a node, and in a privileged container of its containerd, stays there.
func TestContained(t *testing.T) {
	h := newHost(t, "node-v1.37.1")
	const name = "node-contained"
	h.node(t, name)
	targets, program := contain.NewTargets(t, h.options.DataDir), contain.Build(t)
	control := contain.Control(t, program, targets)

	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	const volume, root = name + "-containerd", "/var/lib/containerd/escape"
	h.write(t, volume, "escape/escape", content)
	targets.Volume = "/var/lib/containerd"
	h.write(t, volume, "escape/targets.json", targets.JSON())
	t.Run("node", func(t *testing.T) {
		out, ok := h.run(t, name, root+"/escape", root+"/targets.json")
		if !ok {
			t.Fatal(out)
		}
		contain.Judge(t, control, contain.Outcomes(t, out), contain.KnownOfNodes)
	})
	t.Run("privileged container", func(t *testing.T) {
		targets.Volume = "/volume"
		h.write(t, volume, "escape/targets.json", targets.JSON())
		out := h.container(t, name, root, "/escape", "/targets.json")
		contain.Judge(t, control, contain.Outcomes(t, out), contain.KnownOfPods)
	})
	t.Run("limits", func(t *testing.T) { h.limited(t, name) })
}

// write writes a file into a node's volume, from outside.
func (h *host) write(t *testing.T, volume, path string, content []byte) {
	t.Helper()
	file := filepath.Join(h.options.DataDir, "volumes", volume, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// limited wants a node's limits to stay, after root in it has lifted all that it can write.
func (h *host) limited(t *testing.T, name string) {
	t.Helper()
	script, wanted := `echo max > /sys/fs/cgroup/memory.max; echo max > /sys/fs/cgroup/cpu.max; echo max > /sys/fs/cgroup/pids.max`, map[string]string{
		"memory.max": strconv.FormatInt(nodeLimits.MemoryBytes, 10), "cpu.max": "200000 100000",
	}
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "memory")); err == nil { // version 1
		script = `cd /sys/fs/cgroup; echo -1 > memory/memory.limit_in_bytes; echo -1 > cpu/cpu.cfs_quota_us; echo max > pids/pids.max`
		wanted = map[string]string{"memory.limit_in_bytes": strconv.FormatInt(nodeLimits.MemoryBytes, 10), "cpu.cfs_quota_us": "200000"}
		root = "/sys/fs/cgroup/*"
	}
	if out, ok := h.run(t, name, "sh", "-ec", script); !ok {
		t.Logf("the node's own limits cannot be lifted even by itself: %s", out)
	}
	wanted["pids.max"] = ""
	for file, want := range wanted {
		found, err := filepath.Glob(root + h.options.Cgroup + "/" + name + "/" + file)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s of the group: %v, %v", file, found, err)
		}
		text, err := os.ReadFile(found[0])
		if got := strings.TrimSpace(string(text)); err != nil || want != "" && got != want || got == "max" {
			t.Errorf("%s is %q, %v, want %q", file, got, err, want)
		}
	}
	// What the kernel says of the whole path, with version 1.
	if out, ok := h.run(t, name, "sh", "-c", "cat /sys/fs/cgroup/memory/memory.stat"); ok && !strings.Contains(out, "hierarchical_memory_limit "+strconv.FormatInt(nodeLimits.MemoryBytes, 10)+"\n") {
		t.Errorf("the node's memory is not limited:\n%s", out)
	}
	// And its processes are in that group.
	members, err := filepath.Glob(root + h.options.Cgroup + "/" + name + "/own")
	if err != nil || len(members) == 0 {
		t.Errorf("the node's own group: %v, %v", members, err)
	}
}

package containers

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cloister.dev/cloister/internal/engine"
)

// crashContainerd kills it, and returns when it takes no connections.
func (h *host) crashContainerd(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if exe, err := os.Readlink(file); err != nil || exe != filepath.Join(h.options.DataDir, "bin", "containerd") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the end of containerd", func() bool { return !engine.Answers(h.options.RunDir) })
}

// TestClear kills containerd: nobody is there any more to end its containers.
func TestClear(t *testing.T) {
	h := newHost(t)
	const name = "engine-clear"
	w := etcd(name)
	h.apply(t, w)
	until(t, "etcd's socket", func() bool { return h.answers(name) })
	pid := h.pid(t, name)
	h.crashContainerd(t)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the container ended with containerd: %v", err)
	}
	for range 2 {
		if err := engine.Clear(t.Context(), h.options.DataDir, h.options.RunDir, h.options.Cgroup); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the end of the container's process", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), filepath.Dir(h.options.RunDir)+"/") {
		t.Errorf("mounts are left:\n%s", mounts)
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*" + h.options.Cgroup + "/" + name, "/sys/fs/cgroup" + h.options.Cgroup + "/" + name} {
		if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
			t.Errorf("cgroups are left: %v %v", left, err)
		}
	}
	if err := os.RemoveAll(h.options.RunDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	h.Engine = nil // there is no containerd to ask any more
}

package containers

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloister.dev/cloister/internal/engine"
	"cloister.dev/cloister/internal/images"
	"cloister.dev/cloister/internal/spec"
)

// host is an engine with a containerd of its own, below folders of the test.
type host struct {
	*engine.Engine
	options engine.Options
}

func newHost(t *testing.T, more ...string) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("the engine's tests need root")
		}
		t.Skip("containers need root")
	}
	cache := os.Getenv("CLOISTER_CACHE_DIR")
	if cache == "" {
		cache = "/var/cache/cloister"
	}
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	built, err := images.Build(t.Context(), images.Options{SourceDir: source, CacheDir: cache, Progress: t.Logf},
		append(more, "etcd", "containerd-programs", "runc-programs", "logger-programs")...)
	if err != nil {
		t.Fatal(err)
	}
	// Sockets have short paths: t.TempDir's are too long for them.
	dir, err := os.MkdirTemp("/var/tmp", "engine-")
	if err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "run")
	h := &host{options: engine.Options{
		DataDir: filepath.Join(dir, "data"), RunDir: run, Cgroup: fmt.Sprintf("/cloister/test-%d", os.Getpid()), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Logger: filepath.Join(built["logger-programs"].Path, "cloister-logger"), Runc: filepath.Join(built["runc-programs"].Path, "runc"),
		Images: func(_ context.Context, name string) (string, string, error) {
			return built[name].Path, built[name].Ref, nil
		},
	}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if h.Engine != nil {
			names, err := h.List(ctx)
			for _, name := range names {
				if err := h.Remove(ctx, name); err != nil {
					t.Error(err)
				}
			}
			if err != nil {
				t.Error(err)
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := engine.StopContainerd(ctx, run); err != nil {
			t.Error(err)
		}
		if err := engine.Clear(ctx, h.options.DataDir, run, h.options.Cgroup); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.MkdirAll(filepath.Join(h.options.DataDir, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := engine.StartContainerd(t.Context(), h.options.DataDir, run, built["containerd-programs"].Path); err != nil {
		t.Fatal(err)
	}
	h.connect(t)
	return h
}

// connect is what a daemon does when it starts.
func (h *host) connect(t *testing.T) {
	t.Helper()
	var err error
	if h.Engine, err = engine.New(h.options); err != nil {
		t.Fatal(err)
	}
}

// etcd is a workload of the name, with a volume for its socket and its data.
func etcd(name string) spec.Workload {
	socket := "unix:///run/etcd/client.sock"
	return spec.Workload{
		Name: name, Kind: spec.KindSystem, Owner: "test", Image: "etcd", Hostname: name,
		Args: []string{"etcd", "--name=x", "--data-dir=/run/etcd/data", "--listen-client-urls=" + socket, "--advertise-client-urls=" + socket,
			"--listen-peer-urls=unix://peer.sock", "--initial-advertise-peer-urls=unix://peer.sock",
			"--initial-cluster=x=unix://peer.sock", "--log-level=info"},
		Files:  map[string]spec.File{"/etc/hosts": {Text: "127.0.0.1 localhost\n"}, "/etc/key": {Secret: "x", Field: "y"}},
		Mounts: []spec.Mount{{Volume: name, Target: "/run/etcd"}},
		Limits: spec.Limits{MilliCPU: 1000, MemoryBytes: 512 << 20},
	}
}

func (h *host) apply(t *testing.T, w spec.Workload) spec.WorkloadStatus {
	t.Helper()
	files := map[string][]byte{}
	for path, f := range w.Files {
		files[path] = []byte(f.Text)
	}
	st, err := h.Apply(t.Context(), w, "", files)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// until waits for a condition, and fails after half a minute.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); !ok(); {
		select {
		case <-end:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

func (h *host) answers(name string) bool {
	c, err := net.Dial("unix", filepath.Join(h.options.DataDir, "volumes", name, "client.sock"))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

func TestLife(t *testing.T) {
	h := newHost(t)
	const name = "life"
	w := etcd(name)

	first := h.apply(t, w)
	if first.Phase != spec.PhaseRunning || first.StartedAt.IsZero() {
		t.Fatalf("after the start: %+v", first)
	}
	until(t, "etcd's socket", func() bool { return h.answers(name) })
	if again := h.apply(t, w); again != first {
		t.Errorf("applied again: %+v, before %+v", again, first)
	}
	pid := h.pid(t, name)

	// A daemon that starts anew finds the container and leaves it alone.
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h.connect(t)
	if adopted := h.apply(t, w); adopted.Phase != spec.PhaseRunning || h.pid(t, name) != pid {
		t.Errorf("adopted: %+v, process %d, before %d", adopted, h.pid(t, name), pid)
	}

	// A process that ends is announced, and started again when its time has come.
	ctx, cancel := context.WithCancel(t.Context())
	exits := h.Exits(ctx)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-exits:
		if got != name {
			t.Errorf("exit of %q", got)
		}
	case <-time.After(10 * time.Second):
		// The subscription may have come after the kill: the status below says the same.
	}
	cancel()
	if st := h.apply(t, w); st.Phase != spec.PhaseExited || !strings.Contains(st.Message, "137") {
		t.Errorf("after a kill: %+v", st)
	}
	until(t, "the restart", func() bool { return h.apply(t, w).Phase == spec.PhaseRunning })
	if st := h.apply(t, w); st.Restarts != 1 {
		t.Errorf("after the restart: %+v", st)
	}
	until(t, "etcd's socket", func() bool { return h.answers(name) })

	// What it printed is kept.
	var log bytes.Buffer
	if err := h.Logs(t.Context(), name, false, &log); err != nil || !strings.Contains(log.String(), "etcd-version") {
		t.Errorf("log: %v\n%s", err, log.String())
	}

	// Stopped: no process, but the volume stays.
	w.Stopped = true
	began := time.Now()
	if st := h.apply(t, w); st.Phase != spec.PhaseStopped || h.answers(name) {
		t.Errorf("stopped: %+v", st)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("etcd had to be killed: it took %s to stop", took)
	}
	w.Stopped = false
	if st := h.apply(t, w); st.Phase != spec.PhaseRunning {
		t.Errorf("started again: %+v", st)
	}

	// Another spec is another container with the same volume.
	pid = h.pid(t, name)
	w.Env = []string{"GOGC=50"}
	if st := h.apply(t, w); st.Phase != spec.PhaseRunning || h.pid(t, name) == pid {
		t.Errorf("changed: %+v", st)
	}
	until(t, "etcd's socket", func() bool { return h.answers(name) })

	logs := filepath.Join(h.options.DataDir, "log", "containers")
	foreign := filepath.Join(logs, name+"-2.log")
	for _, file := range []string{filepath.Join(logs, name+"-2026-01-02T03-04-05.678.log"), foreign} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(t.Context(), name); err != nil {
		t.Errorf("removed again: %v", err)
	}
	if err := os.Remove(foreign); err != nil {
		t.Errorf("another container's log: %v", err)
	}
	h.nothingLeft(t, name)
}

// pid is the number of the container's first process on this machine.
func (h *host) pid(t *testing.T, name string) int {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		b, err := os.ReadFile(p)
		if err != nil || !strings.Contains(string(b), ":"+h.options.Cgroup+"/"+name+"\n") {
			continue
		}
		pid := 0
		for _, r := range filepath.Base(filepath.Dir(p)) {
			pid = pid*10 + int(r-'0')
		}
		return pid
	}
	t.Fatalf("no process of %s", name)
	return 0
}

func (h *host) nothingLeft(t *testing.T, name string) {
	t.Helper()
	if names, err := h.List(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("containers left: %v, %v", names, err)
	}
	for _, dir := range []string{h.options.DataDir + "/volumes", h.options.DataDir + "/log/containers", h.options.RunDir + "/files"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			t.Errorf("left: %s/%s", dir, e.Name())
		}
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*" + h.options.Cgroup + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/sys/fs/cgroup" + h.options.Cgroup + "/" + name); err == nil {
		groups = append(groups, "/sys/fs/cgroup"+h.options.Cgroup+"/"+name)
	}
	if len(groups) > 0 {
		t.Errorf("groups left: %v", groups)
	}
	// The task's bundle and the mounts of its root file system.
	err = filepath.WalkDir(filepath.Join(h.options.RunDir, "containerd"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == name {
			t.Errorf("left: %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestVolumeOfTwo(t *testing.T) {
	h := newHost(t)
	a, b := etcd("one"), etcd("two")
	b.Mounts = append(b.Mounts, spec.Mount{Volume: "one", Target: "/run/other", ReadOnly: true})
	h.apply(t, a)
	h.apply(t, b)
	volume := filepath.Join(h.options.DataDir, "volumes", "one")
	if err := h.Remove(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(volume); err != nil {
		t.Errorf("a volume that is in use is gone: %v", err)
	}
	if err := h.Remove(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(volume); err == nil {
		t.Error("a volume that nobody uses is left")
	}
}

func TestExec(t *testing.T) {
	h := newHost(t)
	h.apply(t, etcd("exec"))
	var out bytes.Buffer
	status, err := h.Exec(t.Context(), "exec", []string{"/etcd", "--version"}, engine.Streams{Out: &out})
	if err != nil || status != 0 || !strings.Contains(out.String(), "etcd Version") {
		t.Errorf("status %d, %v:\n%s", status, err, out.String())
	}
	if status, err := h.Exec(t.Context(), "exec", []string{"/etcd", "--no-such-flag"}, engine.Streams{}); err != nil || status == 0 {
		t.Errorf("a failing program: status %d, %v", status, err)
	}
	if _, err := h.Exec(t.Context(), "nobody", []string{"/etcd"}, engine.Streams{}); err == nil {
		t.Error("a container that is not there")
	}
}

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// victim is something that ends without having been asked.
type victim struct {
	name   string
	kill   func(w *chaos) (killed []int, err error)
	daemon bool // somebody has to start it again
	// How many of the probe's looks may fail: a look that fails takes up to a second.
	lookups, gets int
}

// victims may end at any time. What runs must not notice but of the resolver, whose names are away for as long as it takes
// to start it, and of the machine under load.
func (w *chaos) victims() []victim {
	return []victim{
		{name: "the daemon", kill: (*chaos).killDaemon, daemon: true},
		{name: "the daemon once more", kill: (*chaos).killDaemon, daemon: true},
		{name: "containerd", kill: (*chaos).killContainerd},
		{name: "daemon and containerd", daemon: true, kill: func(w *chaos) ([]int, error) {
			a, err1 := w.killDaemon()
			b, err2 := w.killContainerd()
			return append(a, b...), errors.Join(err1, err2)
		}},
		{name: "the resolver", kill: func(w *chaos) ([]int, error) { return w.killTask("cloister-resolver") }, lookups: 100},
		{name: "the store", kill: func(w *chaos) ([]int, error) { return w.killTask("cloister-store") }},
		{name: "the first cluster's control plane", kill: func(w *chaos) ([]int, error) { return w.killOf("cp-", "base") }},
		{name: "the first cluster's etcd", kill: func(w *chaos) ([]int, error) { return w.killOf("etcd-", "base") }},
		{name: "the first cluster's kubelet", kill: (*chaos).killKubelet},
		{name: "a node", kill: (*chaos).killNode},
	}
}

func (w *chaos) killDaemon() ([]int, error) {
	b, err := os.ReadFile(filepath.Join(w.run, "cloister.pid"))
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, err
	}
	return []int{pid}, syscall.Kill(pid, syscall.SIGKILL)
}

func (w *chaos) killContainerd() ([]int, error) {
	return killAll(func(args []string) bool {
		return filepath.Base(args[0]) == "containerd" && strings.Contains(strings.Join(args, " "), w.run+"/containerd/config.toml")
	})
}

// killTask ends a container's process.
func (w *chaos) killTask(name string) ([]int, error) {
	pid, err := w.pidOf(name)
	if err != nil || pid == 0 {
		return nil, err
	}
	err = syscall.Kill(pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil, nil // it has just ended
	}
	return []int{pid}, err
}

// pidOf is the number of a container's first process; 0: there is none.
func (w *chaos) pidOf(name string) (int, error) {
	b, err := os.ReadFile(filepath.Join(w.run, "containerd", "state", "io.containerd.runtime.v2.task", "cloister", name, "init.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

func (w *chaos) killOf(prefix, group string) ([]int, error) {
	one, err := w.spec(group)
	if err != nil {
		return nil, err
	}
	return w.killTask(prefix + one.Name)
}

// killKubelet ends the kubelet of the first cluster's node, and not the node.
func (w *chaos) killKubelet() ([]int, error) {
	one, err := w.spec("base")
	if err != nil {
		return nil, err
	}
	cgroup := os.Getenv("CLOISTER_CGROUP") + "/node-" + one.Name
	return killAll(func(args []string) bool { return filepath.Base(args[0]) == "kubelet" }, func(pid string) bool {
		b, err := os.ReadFile("/proc/" + pid + "/cgroup")
		return err == nil && strings.Contains(string(b), cgroup)
	})
}

// killNode ends a node's container: of one of the clusters that come and go, if one is there.
func (w *chaos) killNode() ([]int, error) {
	tasks, err := filepath.Glob(filepath.Join(w.run, "containerd", "state", "io.containerd.runtime.v2.task", "cloister", "node-*"))
	if err != nil {
		return nil, err
	}
	base, err := w.spec("base")
	if err != nil {
		return nil, err
	}
	for _, task := range tasks {
		if name := filepath.Base(task); !strings.Contains(name, base.Name) {
			return w.killTask(name)
		}
	}
	return nil, nil
}

// killAll kills the processes whose arguments and number are as wanted.
func killAll(args func([]string) bool, more ...func(pid string) bool) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var killed []int
files:
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil || len(b) == 0 || !args(strings.Split(string(b), "\x00")) {
			continue
		}
		id := filepath.Base(filepath.Dir(file))
		for _, ok := range more {
			if !ok(id) {
				continue files
			}
		}
		pid, err := strconv.Atoi(id)
		if err != nil {
			return killed, err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return killed, fmt.Errorf("kill %d: %w", pid, err)
		}
		killed = append(killed, pid)
	}
	return killed, nil
}

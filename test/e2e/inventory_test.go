package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"cloister.dev/cloister/internal/kubernetes"
	"cloister.dev/cloister/internal/store"
)

// nobodys are files that come and go with containerd's and etcd's own bookkeeping, and no tenant's.
var nobodys = regexp.MustCompile(`^(data/containerd/|data/volumes/cloister-store/|run/probe|data/log/containers/cloister-)`)

// inventory is everything that a cluster can leave behind on the machine: a line for each thing, by kind and name.
func (c *cloud) inventory() (map[string]string, error) {
	out := map[string]string{}
	add := func(kind, text string) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				out[kind+" "+line] = "there"
			}
		}
	}
	run := func(args ...string) (string, error) {
		b, err := exec.Command(args[0], args[1:]...).Output()
		if err != nil {
			err = fmt.Errorf("%v: %w", args, err)
		}
		return string(b), err
	}
	for _, what := range []string{"containers", "tasks", "snapshots", "leases"} {
		text, err := c.ctr(what)
		if err != nil {
			return nil, err
		}
		add(what, text)
	}
	for _, ns := range []string{"", "edge", "provider"} {
		enter := []string{}
		if ns != "" {
			enter = []string{"nsenter", "--net=" + filepath.Join(c.run, "netns", ns)}
		}
		rules, err := run(append(enter, "nft", "-s", "list", "ruleset")...)
		if err != nil {
			return nil, err
		}
		out["rules in "+ns] = rules
		for _, what := range [][]string{{"link"}, {"addr"}, {"route", "show", "table", "all"}, {"rule"}, {"neigh", "show", "nud", "permanent"}} {
			text, err := run(append(append(enter, "ip", "-4", "-br"), what...)...)
			if err != nil {
				return nil, err
			}
			add(what[0]+" in "+ns, volatileLink.ReplaceAllString(text, ""))
		}
	}
	if err := c.storeKeys(out); err != nil {
		return nil, err
	}
	for name, dir := range map[string]string{"data": c.data, "run": c.run} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil // it went while we looked
			}
			rel := name + strings.TrimPrefix(path, dir)
			if err == nil && !nobodys.MatchString(rel) {
				out["file "+rel] = "there"
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, c.kernelThings(out)
}

// ctr lists what containerd has of a kind.
func (c *cloud) ctr(kind string) (string, error) {
	args := []string{"-a", filepath.Join(c.run, "containerd", "containerd.sock"), "-n", "cloister", kind, "ls"}
	if kind != "snapshots" {
		args = append(args, "-q")
	}
	out, err := exec.Command(filepath.Join(c.data, "bin", "ctr"), args...).Output() // it warns at the other output
	return string(out), err
}

// volatileLink is what a link says of its other end by number.
var volatileLink = regexp.MustCompile(`@if\d+`)

// storeKeys are all of the store but operations, which are kept for a day for those who ask.
func (c *cloud) storeKeys(out map[string]string) error {
	return c.withStore(func(s store.Reader) error {
		docs, _, err := s.List(c.t.Context(), "/")
		for _, d := range docs {
			if !strings.HasPrefix(d.Key, "/op/") {
				out["document "+d.Key] = "there"
				continue
			}
			var op struct{ Status, Resource string }
			if err := json.Unmarshal(d.Value, &op); err != nil {
				return err
			}
			if op.Status == "InProgress" {
				out["operation on "+op.Resource] = "runs"
			}
		}
		return err
	})
}

// kernelThings are sockets of shims, cgroups, mounts and processes.
func (c *cloud) kernelThings(out map[string]string) error {
	sockets, err := os.ReadDir(shimSockets)
	if err != nil {
		return err
	}
	out["sockets of shims"] = fmt.Sprint(len(sockets))
	cgroup := os.Getenv("CLOISTER_CGROUP")
	groups, err := filepath.Glob("/sys/fs/cgroup/*" + cgroup)
	if err != nil {
		return err
	}
	for _, root := range append(groups, "/sys/fs/cgroup"+cgroup) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err == nil && d.IsDir() {
				out["cgroup "+path] = "there"
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); strings.HasPrefix(f[1], c.dir) {
			out["mount "+f[1]] = f[2]
		}
	}
	shims := 0
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && strings.Contains(string(b), "containerd-shim") && strings.Contains(string(b), c.run) {
			shims++
		}
	}
	out["shims"] = fmt.Sprint(shims)
	return err
}

// asBefore waits until the inventory is what it was.
func (c *cloud) asBefore(before map[string]string) {
	c.t.Helper()
	c.eventually("nothing is left", 90*time.Second, func() error {
		now, err := c.inventory()
		if err != nil {
			return err
		}
		if diff := changes(before, now); len(diff) > 0 {
			return fmt.Errorf("%d differences:\n  %s", len(diff), strings.Join(diff[:min(len(diff), 40)], "\n  "))
		}
		return nil
	})
}

// settledInventory is the inventory once it does not change any more: after a start, things still come, and images
// are loaded ahead.
func (c *cloud) settledInventory() map[string]string {
	c.t.Helper()
	c.eventually("images are loaded ahead", 3*time.Minute, func() error {
		out, err := c.ctr("images")
		if err != nil {
			return err
		}
		for _, v := range kubernetes.Versions() {
			for _, name := range []string{"kube-v" + v, "node-v" + v} {
				if !strings.Contains(out, name) {
					return fmt.Errorf("%s is not there yet", name)
				}
			}
		}
		leases, err := c.ctr("leases")
		if err == nil && len(leases) > 0 {
			err = fmt.Errorf("an import goes on: %s", leases)
		}
		return err
	})
	var last map[string]string
	same := 0
	c.eventually("the inventory is at rest", 90*time.Second, func() error {
		now, err := c.inventory()
		if err != nil {
			return err
		}
		diff := changes(last, now)
		if last = now; len(diff) > 0 {
			same = 0
			return fmt.Errorf("it changes: %v", diff)
		}
		if same++; same < 5 {
			return fmt.Errorf("it is the same since %d looks", same)
		}
		return nil
	})
	return last
}

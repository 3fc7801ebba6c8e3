package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAway holds that clusters come back after `down`, and after the machine went down without it: with the same endpoint,
// their data, nodes and pods.
func TestAway(t *testing.T) {
	if !playHost(t) {
		return
	}
	c := newCloud(t, "away")
	c.network("base")
	c.must(http.MethodPut, c.clusterID("base"), c.clusterBody("base", 2))
	c.eventually("the cluster is there", 5*time.Minute, func() error { return c.well("base", 2) })
	endpoint := c.endpoint("base")
	c.hello("base")
	k, err := c.kube("base")
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "kept"}, "data": map[string]any{"word": "remember"}}
	if err := k.do(t.Context(), http.MethodPost, "/api/v1/namespaces/default/configmaps", kept, nil); err != nil {
		t.Fatal(err)
	}
	_, container, err := helloAddress(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	back := func(t *testing.T) {
		start := time.Now()
		c.cloister("up")
		up := time.Since(start)
		c.eventually("the cluster is well again", 5*time.Minute, func() error { return c.well("base", 2) })
		c.eventually("every part is well", 2*time.Minute, c.partsWell)
		fmt.Printf("   up after %.1f s, nodes Ready after %.1f s\n", up.Seconds(), time.Since(start).Seconds())
		if now := c.endpoint("base"); now != endpoint {
			t.Errorf("the endpoint was %s, now it is %s", endpoint, now)
		}
		k, err := c.kube("base")
		if err != nil {
			t.Fatal(err)
		}
		var found struct{ Data struct{ Word string } }
		if err := k.do(t.Context(), http.MethodGet, "/api/v1/namespaces/default/configmaps/kept", nil, &found); err != nil || found.Data.Word != "remember" {
			t.Errorf("the data of the cluster: %+v %v", found, err)
		}
		var address string
		c.eventually("the pod runs again", 3*time.Minute, func() error {
			addr, id, err := helloAddress(t.Context(), k)
			if err == nil && id == container {
				err = errors.New("what the API server knows is from before")
			}
			if err == nil {
				address, container = addr, id
			}
			return err
		})
		one, err := c.spec("base")
		if err != nil {
			t.Fatal(err)
		}
		seen, stop := c.startProbe(c.subnet("base"), one.PrivateFQDN, "http://"+address+":8080/")
		defer stop()
		c.answers(seen)
	}
	t.Run("down and up", func(t *testing.T) {
		c.cloister("down")
		if left := c.processes(); len(left) > 0 {
			t.Errorf("processes after down: %v", left)
		}
		back(t)
	})
	t.Run("the machine restarts", func(t *testing.T) {
		c.crash()
		back(t)
	})
	t.Run("down after the machine restarted", func(t *testing.T) {
		c.crash()
		c.cloister("down")
		back(t)
	})
}

// endpoint is the address of the cluster's private endpoint.
func (c *cloud) endpoint(group string) string {
	c.t.Helper()
	one, err := c.spec(group)
	if err != nil {
		c.t.Fatal(err)
	}
	return one.Endpoint.String() + " " + one.PrivateFQDN
}

// crash is what a machine's restart is for Cloister: every process ends at once; namespaces, links, rules, mounts, cgroups and
// everything in the run directory are gone.
func (c *cloud) crash() {
	c.t.Helper()
	c.eventually("every process has ended", time.Minute, func() error {
		pids := c.processes()
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		if len(pids) > 0 {
			return fmt.Errorf("%v live", pids)
		}
		return nil
	})
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		c.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(mounts)), "\n")
	for _, line := range slices.Backward(lines) {
		if at := strings.Fields(line)[1]; strings.HasPrefix(at, c.dir+"/") {
			if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
				c.t.Fatalf("unmount %s: %v", at, err)
			}
		}
	}
	if err := os.RemoveAll(c.run); err != nil {
		c.t.Fatal(err)
	}
	sockets, err := filepath.Glob(shimSockets + "/*")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, s := range sockets {
		if err := os.Remove(s); err != nil {
			c.t.Fatal(err)
		}
	}
	// The other end of the host's link went with its namespace, as soon as nobody is in that.
	c.eventually("the host's link is gone", time.Minute, func() error {
		if out, err := exec.Command("ip", "link", "show", "cl-host").CombinedOutput(); err == nil {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	output(c.t, "nft", "flush", "ruleset")
	c.removeCgroups()
}

// processes are the numbers of all that are the instance's: its containers', shims, containerd and the daemon.
func (c *cloud) processes() []int {
	c.t.Helper()
	found, err := killable(c.dir, os.Getenv("CLOISTER_CGROUP"))
	if err != nil {
		c.t.Fatal(err)
	}
	return found
}

// killable looks for processes by the instance's folder in their arguments, and by its cgroup.
func killable(dir, cgroup string) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var out []int
	for _, file := range files {
		proc := filepath.Dir(file)
		args, err := os.ReadFile(file)
		if err != nil || len(args) == 0 {
			continue
		}
		groups, err := os.ReadFile(filepath.Join(proc, "cgroup"))
		if err != nil {
			continue
		}
		program, _, _ := strings.Cut(string(args), "\x00")
		own := strings.HasPrefix(program, dir+"/") || filepath.Base(program) == "containerd-shim-runc-v2" && strings.Contains(string(args), dir+"/")
		if !own && !strings.Contains(string(groups), cgroup+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(proc)); err == nil && pid != os.Getpid() {
			out = append(out, pid)
		}
	}
	return out, nil
}

// removeCgroups removes those of the instance, the inner ones first.
func (c *cloud) removeCgroups() {
	c.t.Helper()
	cgroup := os.Getenv("CLOISTER_CGROUP")
	roots, err := filepath.Glob("/sys/fs/cgroup/*" + cgroup)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, root := range append(roots, "/sys/fs/cgroup"+cgroup) {
		var dirs []string
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		if err != nil {
			c.t.Fatal(err)
		}
		for _, dir := range slices.Backward(dirs) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				c.t.Logf("cgroup %s: %v", dir, err)
			}
		}
	}
}

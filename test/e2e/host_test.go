package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// volatile are settings that show how the machine does, and not what somebody set.
var volatile = regexp.MustCompile(`^/proc/sys/(fs/(dentry-state|inode-nr|inode-state|file-nr|aio-nr|quota/.*)|kernel/(ns_last_pid|random/.*|pty/nr|spl/.*|perf_event_max_sample_rate|perf_cpu_time_max_percent)|net/netfilter/nf_conntrack_count|net/ipv4/tcp_fastopen_key|net/ipv4/neigh/.*|net/ipv6/neigh/.*)$`)

// host is what a program can change of a machine: a line for each fact, by its name.
func host(t *testing.T, home, cgroup string) map[string]string {
	t.Helper()
	facts := map[string]string{}
	settings(t, facts)
	for _, what := range [][]string{{"addr"}, {"route", "show", "table", "all"}, {"rule"}} {
		for i, line := range jsonLines(t, "ip", append([]string{"-j"}, what...)...) {
			facts[fmt.Sprintf("ip %s %d", what[0], i)] = line
		}
	}
	facts["nft list ruleset"] = output(t, "nft", "list", "ruleset")
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		facts["mount at "+f[1]] += f[0] + " " + f[2] + ";"
	}
	for _, pattern := range []string{"/run/netns/*", "/sys/fs/cgroup/*", "/sys/fs/cgroup/*/*", "/sys/fs/cgroup" + cgroup, "/sys/fs/cgroup/*" + cgroup, "/run/*", "/etc/*", "/var/lib/*", "/usr/local/share/ca-certificates/*", filepath.Join(home, ".*"), filepath.Join(home, ".azure/*"), filepath.Join(home, ".kube/*")} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if filepath.Base(f) == "cloister" && strings.HasPrefix(f, "/sys/fs/cgroup/") {
				continue // it is shared with whatever else of Cloister runs here
			}
			facts["file "+f] = "there"
		}
	}
	for _, file := range []string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt"} {
		b, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		facts["content of "+file] = string(b)
	}
	return facts
}

func settings(t *testing.T, facts map[string]string) {
	t.Helper()
	err := filepath.WalkDir("/proc/sys", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || volatile.MatchString(path) {
			return err
		}
		if b, err := os.ReadFile(path); err == nil { // some can be written only
			facts[path] = strings.TrimSpace(string(b))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// jsonLines runs a program that prints a list, and returns its elements without what changes by itself.
func jsonLines(t *testing.T, program string, args ...string) []string {
	t.Helper()
	var list []map[string]any
	text := output(t, program, args...)
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%s %v: %v", program, args, err)
	}
	var out []string
	for _, x := range list {
		delete(x, "expires")
		b, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	slices.Sort(out)
	return out
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", program, args, err, stderr.String())
	}
	return string(out)
}

// changes lists what is not as before. A setting that came with a kernel
// module is none: modules stay loaded.
func changes(before, after map[string]string) []string {
	var out []string
	for name, was := range before {
		if now, there := after[name]; !there {
			out = append(out, fmt.Sprintf("gone: %s (%s)", name, was))
		} else if now != was {
			out = append(out, fmt.Sprintf("changed: %s: %s -> %s", name, was, now))
		}
	}
	for name, now := range after {
		if _, there := before[name]; !there && !strings.HasPrefix(name, "/proc/sys/") {
			out = append(out, fmt.Sprintf("new: %s (%s)", name, now))
		}
	}
	slices.Sort(out)
	return out
}

func TestChanges(t *testing.T) {
	before := map[string]string{"a": "1", "b": "1", "c": "1"}
	after := map[string]string{"a": "1", "b": "2", "d": "1", "/proc/sys/new": "1"}
	if got := fmt.Sprint(changes(before, after)); got != "[changed: b: 1 -> 2 gone: c (1) new: d (1)]" {
		t.Error(got)
	}
}

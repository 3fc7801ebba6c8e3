package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/test/walk"
)

// TestStory walks through the story and wants the host to be as before at the end.
func TestStory(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root: namespaces, nftables, containers")
	}
	bin, err := walk.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if bin, err = filepath.Abs(bin); err != nil {
		t.Fatal(err)
	}
	// Everything but the cache of built artefacts is of this test alone; the
	// home folder too, so that nobody's own sign-in is touched.
	data, home := t.TempDir(), t.TempDir()
	for name, value := range map[string]string{
		"CLOISTER_DATA_DIR": filepath.Join(data, "data"), "CLOISTER_RUN_DIR": filepath.Join(data, "run"), "HOME": home,
		"CLOISTER_SOURCE_DIR": filepath.Dir(filepath.Dir(bin)), "GOCACHE": goEnv(t, "GOCACHE"), "GOMODCACHE": goEnv(t, "GOMODCACHE"),
	} {
		t.Setenv(name, value)
	}
	before := host(t)
	cloister := func(timeout time.Duration, args ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, bin, args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd.Run()
	}
	t.Cleanup(func() {
		if t.Failed() {
			keepLogs(t, bin)
		}
		if err := cloister(5*time.Minute, "down", "--purge"); err != nil {
			t.Errorf("cloister down --purge: %v", err)
		}
		if after := host(t); after != before {
			t.Errorf("the host is not as before.\nbefore:\n%s\nafter:\n%s", before, after)
		}
	})
	if err := cloister(60*time.Minute, "up"); err != nil {
		t.Fatalf("cloister up: %v", err)
	}
	if err := cloister(time.Minute, "up"); err != nil {
		t.Fatalf("a second cloister up: %v", err)
	}
	w := &walk.Walk{Cloister: bin, Out: os.Stdout, Region: "eastus", Nodes: 3}
	for _, s := range walk.Story() {
		if !t.Run(strings.Fields(s.Name)[0]+"/"+s.Name, func(t *testing.T) {
			start := time.Now()
			if err := s.Run(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("   (%.1f s)\n", time.Since(start).Seconds())
		}) {
			return
		}
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// host is what Cloister changes of a host while it runs, and must put back.
func host(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, f := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/net/route", "/proc/sys/fs/inotify/max_user_instances"} {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %s\n", f, text)
	}
	links, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		fmt.Fprintln(&b, "link", l.Name())
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 {
			fmt.Fprintln(&b, "mount", f[1])
		}
	}
	return b.String()
}

func keepLogs(t *testing.T, bin string) {
	t.Helper()
	for _, args := range [][]string{{"status"}, {"logs"}} {
		out, err := exec.Command(bin, args...).CombinedOutput()
		if len(out) > 20_000 {
			out = out[len(out)-20_000:]
		}
		_, _ = io.WriteString(os.Stdout, fmt.Sprintf("cloister %s (%v):\n%s\n", args[0], err, out))
	}
}

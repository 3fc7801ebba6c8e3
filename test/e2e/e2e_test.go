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
	cgroup := fmt.Sprintf("/cloister/story-%d", os.Getpid())
	data, home, own := t.TempDir(), t.TempDir(), os.Getenv("HOME")
	for name, value := range map[string]string{
		"CLOISTER_DATA_DIR": filepath.Join(data, "data"), "CLOISTER_RUN_DIR": filepath.Join(data, "run"), "HOME": home,
		"CLOISTER_CGROUP":     cgroup,
		"CLOISTER_SOURCE_DIR": filepath.Dir(filepath.Dir(bin)), "GOCACHE": goEnv(t, "GOCACHE"), "GOMODCACHE": goEnv(t, "GOMODCACHE"),
	} {
		t.Setenv(name, value)
	}
	before := host(t, own, cgroup)
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
		for _, change := range changes(before, host(t, own, cgroup)) {
			t.Errorf("the host is not as before: %s", change)
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

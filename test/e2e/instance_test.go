package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/test/walk"
)

// started starts a Cloister for one test. At the test's end it is taken down,
// and the host has to be as before.
func started(t *testing.T, name string) *walk.Walk {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root: namespaces, nftables, containers")
	}
	// Everything but the cache of built artefacts is of this test alone; the
	// home folder too, so that nobody's own sign-in is touched.
	cgroup, own := fmt.Sprintf("/cloister/%s-%d", name, os.Getpid()), os.Getenv("HOME")
	i := newInstance(t, cgroup)
	before := host(t, own, cgroup)
	cloister := func(timeout time.Duration, args ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, i.bin, args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd.Run()
	}
	t.Cleanup(func() {
		if t.Failed() {
			keepLogs(t, i.bin)
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
	return &walk.Walk{Cloister: i.bin, Out: os.Stdout, Region: "eastus", Nodes: 3}
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

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/test/walk"
)

// played is set in the process of a test that plays a host.
const played = "CLOISTER_TEST_PLAYED"

// playHost runs the test again in a network and a mount namespace of its own, with an uplink to nowhere: it
// plays a host, and what it does to it ends with it. In that process it returns true.
func playHost(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root: namespaces, nftables, containers")
	}
	if os.Getenv(played) == t.Name() {
		for _, line := range []string{
			"sysctl -qw net.ipv6.conf.default.disable_ipv6=1", // addresses that come later by themselves are none of Cloister's doing
			"ip link set lo up", "ip link add up0 type veth peer name up0p", "ip link set up0p up", "ip addr add 192.0.2.77/24 dev up0",
			"ip link set up0 up", "ip route add default via 192.0.2.1", "sysctl -qw net.ipv4.ip_forward=0",
		} {
			f := strings.Fields(line)
			output(t, f[0], f[1:]...)
		}
		// Named namespaces that others make meanwhile are none of this host's.
		if _, err := os.Stat("/run/netns"); err == nil {
			output(t, "mount", "-t", "tmpfs", "tmpfs", "/run/netns")
		}
		return true
	}
	limit := 40 * time.Minute
	if end, ok := t.Deadline(); ok {
		limit = time.Until(end)
	}
	// What the machine and the test mount from now on is not seen by the other.
	cmd := exec.Command("unshare", "--net", "--mount", "--propagation", "private", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", limit.String())
	cmd.Env = append(os.Environ(), played+"="+t.Name())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("on the played host: %v", err)
	}
	return false
}

// instance is a Cloister of the test's own.
type instance struct {
	t         *testing.T
	bin, dir  string
	data, run string
}

// newInstance points the environment at folders of the test. Only the cache of built artefacts is shared.
func newInstance(t *testing.T, cgroup string) *instance {
	t.Helper()
	built, err := walk.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if built, err = filepath.Abs(built); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	i := &instance{t: t, dir: dir, bin: filepath.Join(dir, "cloister"), data: filepath.Join(dir, "data"), run: filepath.Join(dir, "run")}
	// Others than root run it, too.
	for p := dir; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(built)
	if err == nil {
		err = os.WriteFile(i.bin, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"CLOISTER_DATA_DIR": i.data, "CLOISTER_RUN_DIR": i.run, "CLOISTER_CGROUP": cgroup, "CLOISTER_SOURCE_DIR": filepath.Dir(filepath.Dir(built)),
		"GOCACHE": goEnv(t, "GOCACHE"), "GOMODCACHE": goEnv(t, "GOMODCACHE"), "HOME": home,
	} {
		t.Setenv(name, value)
	}
	return i
}

// cloister runs it as root and returns what it prints.
func (i *instance) cloister(args ...string) string {
	i.t.Helper()
	return output(i.t, i.bin, args...)
}

// within wants a condition to hold, and says how long it took.
func within(t *testing.T, limit time.Duration, what string, holds func() error) {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds()
		took := time.Since(start)
		if err == nil && took <= limit {
			fmt.Printf("   %s: %.1f s\n", what, took.Seconds())
			return
		}
		if took > limit {
			t.Errorf("%s: not within %s: %v", what, limit, err)
			return
		}
		<-tick.C
	}
}

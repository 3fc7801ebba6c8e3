package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestOwner holds that the host stays its owner's: what `up` changes was named before, comes back when
// somebody takes it away, and is gone after `down`.
func TestOwner(t *testing.T) {
	home := os.Getenv("HOME")
	if !playHost(t) {
		return
	}
	cgroup := fmt.Sprintf("/cloister/owner-%d", os.Getpid())
	i := newInstance(t, cgroup)
	// Rules of the owner's stay through everything.
	output(t, "nft", ownersRules)
	before := host(t, home, cgroup)
	plan := i.cloister("up", "--dry-run")
	for _, change := range changes(before, host(t, home, cgroup)) {
		t.Errorf("up --dry-run: %s", change)
	}
	for _, dir := range []string{i.data, i.run} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("up --dry-run made %s", dir)
		}
	}
	t.Cleanup(func() {
		i.cloister("down", "--purge")
		for _, change := range changes(before, host(t, home, cgroup)) {
			t.Errorf("after down --purge: %s", change)
		}
	})
	i.cloister("up")
	after := host(t, home, cgroup)
	for _, what := range unnamed(t, plan, before, after) {
		t.Errorf("up changed what up --dry-run does not name: %s", what)
	}
	if again := i.cloister("up", "--dry-run"); !strings.Contains(again, "nothing: all of it is there already") {
		t.Errorf("while it runs, up --dry-run says %s", again)
	}
	t.Run("listeners", func(t *testing.T) { onlyOwnListeners(t) })
	t.Run("healing", func(t *testing.T) { heals(t) })
}

// ownersRules are those of somebody else.
const ownersRules = "add table inet owners; add chain inet owners c { type filter hook forward priority 0; policy accept; }; add rule inet owners c tcp dport 7 drop"

// unnamed lists what changed between two looks at the host and is not in the text of the plan.
func unnamed(t *testing.T, plan string, before, after map[string]string) []string {
	t.Helper()
	was := map[string]bool{} // lines of ip are compared as a set: their numbers shift
	for name, fact := range before {
		if strings.HasPrefix(name, "ip ") {
			was[fact] = true
		}
	}
	var out []string
	for name, now := range after {
		old, there := before[name]
		if there && old == now {
			continue
		}
		switch {
		case strings.HasPrefix(name, "ip "):
			if !was[now] && !ipNamed(t, plan, now) {
				out = append(out, now)
			}
		case name == "nft list ruleset":
			// Ours is the table that the plan shows; without it the rules are as before.
			if !strings.Contains(plan, "table ip cloister {") || without(now, "table ip cloister {") != without(old, "") {
				out = append(out, now)
			}
		case strings.HasPrefix(name, "/proc/sys/"):
			// A setting that came with an interface or a module is none that was changed.
			if there && !strings.Contains(plan, fmt.Sprintf("%s: %s -> %s", strings.ReplaceAll(strings.TrimPrefix(name, "/proc/sys/"), "/", "."), old, now)) {
				out = append(out, fmt.Sprintf("%s: %s -> %s", name, old, now))
			}
		default: // mounts and files: below a folder that is named
			_, path, _ := strings.Cut(name, " ")
			path = strings.TrimPrefix(path, "at ")
			if !pathNamed(plan, path) {
				out = append(out, name+" "+now)
			}
		}
	}
	return out
}

// ipNamed looks for an address or a route in the plan, by its interface and its destination.
func ipNamed(t *testing.T, plan, fact string) bool {
	t.Helper()
	var x struct {
		Ifname, Dst, Dev string
		AddrInfo         []struct {
			Local     string
			Prefixlen int
		} `json:"addr_info"`
	}
	if err := json.Unmarshal([]byte(fact), &x); err != nil {
		t.Fatal(err)
	}
	for _, a := range x.AddrInfo {
		if !strings.Contains(plan, fmt.Sprintf("%s/%d on %s", a.Local, a.Prefixlen, x.Ifname)) {
			return false
		}
	}
	if x.Ifname != "" {
		return strings.Contains(plan, "  "+x.Ifname+" (")
	}
	// The kernel's own route to an address that is named.
	return x.Dst != "" && strings.Contains(plan, x.Dst)
}

func pathNamed(plan, path string) bool {
	for _, word := range strings.Fields(plan) {
		word = strings.Trim(word, ",:.()")
		if strings.HasPrefix(word, "/") && word != "/" && (path == word || strings.HasPrefix(path, word+"/")) {
			return true
		}
		// A control group is below each hierarchy.
		if strings.HasPrefix(word, "/cloister") && strings.HasPrefix(path, "/sys/fs/cgroup/") && strings.HasSuffix(path, word) {
			return true
		}
	}
	return false
}

// without is a rule set without the table that begins with the line.
func without(ruleset, begin string) string {
	var out []string
	inside := false
	for line := range strings.Lines(ruleset) {
		if begin != "" && strings.HasPrefix(line, begin) {
			inside = true
		}
		if !inside && strings.TrimSpace(line) != "" {
			out = append(out, line)
		}
		if strings.HasPrefix(line, "}") {
			inside = false
		}
	}
	return strings.Join(out, "")
}

// onlyOwnListeners wants no socket of the played host to be reached from outside it.
func onlyOwnListeners(t *testing.T) {
	t.Helper()
	pool := netip.MustParsePrefix("198.51.100.0/24")
	for line := range strings.Lines(output(t, "ss", "-H", "-l", "-n", "-t", "-u", "-w")) {
		f := strings.Fields(line)
		if len(f) < 5 {
			t.Fatalf("ss says %q", line)
		}
		at, err := netip.ParseAddrPort(f[4])
		if err != nil || !at.Addr().IsLoopback() && !pool.Contains(at.Addr()) {
			t.Errorf("listens for anybody: %s", strings.TrimSpace(line))
		}
	}
	// A socket with an abstract name has no mode: every user of the machine could connect.
	b, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		const accepts = "00010000"
		if len(f) > 7 && strings.HasPrefix(f[7], "@") && f[3] == accepts {
			t.Errorf("an abstract socket listens: %s", strings.TrimSpace(line))
		}
	}
}

// heals takes things away as others do by mistake, and wants them back within five seconds.
func heals(t *testing.T) {
	t.Helper()
	ruleset := func() string { return output(t, "nft", "-s", "list", "ruleset") }
	routes := func() string { return output(t, "ip", "-4", "route") }
	rules, ways := ruleset(), routes()
	ours := rules[strings.Index(rules, "table ip cloister"):]
	answers := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://198.51.100.2/metadata/endpoints?api-version=2022-09-01", nil)
		if err != nil {
			return err
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	for _, c := range []struct{ name, line string }{
		{"nft flush ruleset", "nft flush ruleset"}, {"one chain is deleted", "nft delete chain ip cloister source"},
		{"the link is deleted", "ip link del cl-host"}, {"the route is deleted", "ip route del 198.51.100.0/24 dev cl-host"},
		{"the link is down", "ip link set cl-host down"}, {"forwarding is off", "sysctl -qw net.ipv4.conf.up0.forwarding=0"},
	} {
		f := strings.Fields(c.line)
		if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", c.line, err, out)
		}
		within(t, 5*time.Second, "healed after: "+c.name, func() error {
			if now := ruleset(); !strings.Contains(now, strings.TrimSpace(ours)) {
				return fmt.Errorf("rules are %s", now)
			}
			if now := routes(); now != ways {
				return fmt.Errorf("routes are %s, were %s", now, ways)
			}
			if on := strings.TrimSpace(output(t, "sysctl", "-n", "net.ipv4.conf.up0.forwarding")); on != "1" {
				return errors.New("up0 does not forward")
			}
			return answers()
		})
	}
	// What others had was flushed, too, and is theirs to restore.
	if strings.Contains(ruleset(), "owners") {
		t.Error("a table of somebody else came back")
	}
	output(t, "nft", ownersRules)
}

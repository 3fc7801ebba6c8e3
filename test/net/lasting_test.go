package net

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/fabric"
	"cloister.dev/cloister/internal/netplan"
	"cloister.dev/cloister/internal/spec"
)

// state is a namespace's links, addresses, routes, rules, neighbours and filter, with their numbers.
func (w *world) state(ns string) string {
	w.t.Helper()
	var b strings.Builder
	for _, line := range []string{"ip -o link", "ip -o addr", "ip route show table all", "ip rule", "ip neigh", "nft -a list ruleset"} {
		out, err := exec.Command("nsenter", append([]string{"--net=" + w.fabric.Path(ns)}, strings.Fields(line)...)...).CombinedOutput()
		if err != nil {
			w.t.Fatalf("%s: %v %s", line, err, out)
		}
		b.Write(out)
	}
	return b.String()
}

// TestApplyAgainChangesNothing wants not even a new handle, and an older plan refused.
func TestApplyAgainChangesNothing(t *testing.T) {
	w := newWorld(t)
	n := network("neta", "198.51.100.10", "10.240.0.5")
	endpoint(&n, "10.240.0.4", "one", "240.8.0.0", "240.8.0.1")
	w.plan.Services = []spec.Service{{Name: "one", Sandbox: "cp-one", Port: 443}}
	w.apply(n)
	names := []string{netplan.HostNS, netplan.EdgeNS, netplan.ProviderNS, netplan.NetworkNS("neta"), "cp-one", sandbox("neta", "10.240.0.5")}
	before := map[string]string{}
	for _, ns := range names {
		before[ns] = w.state(ns)
	}
	w.apply(n)
	for _, ns := range names {
		if after := w.state(ns); after != before[ns] {
			t.Errorf("namespace %q changed.\nbefore:\n%s\nafter:\n%s", ns, before[ns], after)
		}
	}
	if err := w.fabric.Apply(t.Context(), "neta", 1, netplan.ForNetwork(n)); !errors.Is(err, fabric.ErrOld) {
		t.Errorf("an older plan: %v", err)
	}
}

// TestNothingIsLeft compares the host before and after, and what was pinned.
func TestNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	before := w.state(netplan.HostNS)
	a, b := network("neta", "198.51.100.10", "10.240.0.5"), network("netb", "198.51.100.11", "10.240.0.5")
	endpoint(&a, "10.240.0.4", "one", "240.8.0.0", "240.8.0.1")
	w.plan.Services = []spec.Service{{Name: "one", Sandbox: "cp-one", Port: 443}}
	w.apply(a, b)
	// One network, its machine and the service go.
	w.plan.Services = nil
	w.apply(b)
	gone, err := w.fabric.Sweep(map[string]bool{netplan.NetworkNS("netb"): true, sandbox("netb", "10.240.0.5"): true})
	if err != nil {
		t.Fatal(err)
	}
	if len(gone) != 3 {
		t.Errorf("swept %v, want the network, its machine and the service", gone)
	}
	for _, ns := range []string{netplan.EdgeNS, netplan.ProviderNS} {
		if links := strings.Count(w.state(ns), "link/ether"); links > 2 {
			t.Errorf("namespace %s still has %d links:\n%s", ns, links, w.state(ns))
		}
	}
	if err := w.fabric.Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	if after := w.state(netplan.HostNS); after != before {
		t.Errorf("the host is not as before.\nbefore:\n%s\nafter:\n%s", before, after)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "run", "netns")); !os.IsNotExist(err) {
		t.Errorf("the folder of pins is there: %v", err)
	}
}

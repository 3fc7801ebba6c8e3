package net

import (
	"context"
	"slices"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/netplan"
)

// neighbour is a machine behind another link of the host, 192.168.50.2.
func (w *world) neighbour() {
	w.t.Helper()
	if _, err := w.stage.EnsureSandbox("neighbour"); err != nil {
		w.t.Fatal(err)
	}
	path := w.stage.Path("neighbour")
	w.on("host", "ip link add lan0 type veth peer name lan0 netns "+path)
	w.on("host", "ip addr add 192.168.50.1/24 dev lan0")
	w.on("host", "ip link set lan0 up")
	w.on("neighbour", "ip addr add 192.168.50.2/24 dev lan0")
	w.on("neighbour", "ip link set lan0 up")
	w.on("neighbour", "ip route add default via 192.168.50.1")
	w.on("outside", "ip route add 192.168.50.0/24 via 203.0.113.1")
	w.serveOn(w.stage, "neighbour", "0.0.0.0:80", "neighbour")
}

func (w *world) setting(name string) string {
	w.t.Helper()
	return strings.TrimSpace(w.on("host", "sysctl -n "+name))
}

// wants asks from each place, and wants these answers.
func (w *world) wants(when string, cases map[[2]string]string) {
	w.t.Helper()
	for who, want := range cases {
		ask := w.ask
		if slices.Contains([]string{"outside", "neighbour", "container"}, who[0]) {
			ask = w.askOn
		}
		if got, err := ask(who[0], who[1]); got != want {
			w.t.Errorf("%s, %s -> %s: %q (%v), want %q", when, who[0], who[1], got, err, want)
		}
	}
}

// TestForwardingOfTheHost wants networks to reach the world from a host that forwards nothing, the
// machine's switch to stay off, and other links of the host to forward nothing to each other.
func TestForwardingOfTheHost(t *testing.T) {
	w := newWorld(t)
	w.neighbour()
	guest := sandbox("neta", "10.240.0.5")
	in, out := [2]string{"outside", "192.168.50.2:80"}, [2]string{"neighbour", "203.0.113.9:80"}
	world := [2]string{guest, "203.0.113.9:80"}
	n := network("neta", "198.51.100.10", "10.240.0.5")

	w.wants("before", map[[2]string]string{in: "", out: ""})
	w.apply(n)
	w.wants("forwarding was off", map[[2]string]string{world: "outside 203.0.113.1", in: "", out: ""})
	for name, want := range map[string]string{"net.ipv4.ip_forward": "0", "net.ipv4.conf.default.forwarding": "0", "net.ipv4.conf.lan0.forwarding": "0", "net.ipv4.conf.wan.forwarding": "1", "net.ipv4.conf.cl-host.forwarding": "1"} {
		if got := w.setting(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	// Again, after a restart of the daemon: what it has switched on itself is still guarded.
	w.apply(n)
	w.wants("applied again", map[[2]string]string{world: "outside 203.0.113.1", in: "", out: ""})

	// The owner wants the host to forward, say by starting Docker: nothing of ours is in the way.
	w.on("host", "sysctl -qw net.ipv4.ip_forward=1")
	w.apply(n)
	w.wants("the owner switched it on", map[[2]string]string{world: "outside 203.0.113.1", in: "neighbour 203.0.113.9", out: "outside 192.168.50.2"})
	// And off again: the kernel switches each link off, and the networks' way out is opened again.
	w.on("host", "sysctl -qw net.ipv4.ip_forward=0")
	w.apply(n)
	w.wants("the owner switched it off", map[[2]string]string{world: "outside 203.0.113.1", in: "", out: ""})

	if err := w.fabric.Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"net.ipv4.ip_forward", "net.ipv4.conf.lan0.forwarding", "net.ipv4.conf.wan.forwarding"} {
		if got := w.setting(name); got != "0" {
			t.Errorf("after down, %s is %s", name, got)
		}
	}
	w.wants("after down", map[[2]string]string{in: "", out: ""})
}

// TestForwardingStaysAfterDown: what the owner switched on while Cloister ran is not switched off by it.
func TestForwardingStaysAfterDown(t *testing.T) {
	w := newWorld(t)
	w.apply(network("neta", "198.51.100.10", "10.240.0.5"))
	w.on("host", "sysctl -qw net.ipv4.ip_forward=1")
	if err := w.fabric.Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"net.ipv4.ip_forward", "net.ipv4.conf.wan.forwarding"} {
		if got := w.setting(name); got != "1" {
			t.Errorf("after down, %s is %s", name, got)
		}
	}
}

// TestUplinkMoves has the default route move to another link: that one is opened, and the old one put back.
func TestUplinkMoves(t *testing.T) {
	w := newWorld(t)
	w.neighbour()
	n := network("neta", "198.51.100.10", "10.240.0.5")
	w.apply(n)
	w.on("host", "ip route del default")
	w.on("host", "ip addr del 203.0.113.1/24 dev wan")
	w.on("host", "ip route add default via 192.168.50.2")
	w.apply(n)
	if wan, lan := w.setting("net.ipv4.conf.wan.forwarding"), w.setting("net.ipv4.conf.lan0.forwarding"); wan != "0" || lan != "1" {
		t.Errorf("forwarding of the old uplink is %s and of the new one %s", wan, lan)
	}
	w.on("neighbour", "ip addr add 203.0.113.9/32 dev lo")
	w.wants("by the new uplink", map[[2]string]string{{sandbox("neta", "10.240.0.5"), "203.0.113.9:80"}: "neighbour 192.168.50.1"})
}

// TestHealing has somebody take away each thing of the host's own namespace; the next apply brings it back.
func TestHealing(t *testing.T) {
	for _, c := range []struct{ name, line string }{
		{"all rules", "nft flush ruleset"},
		{"one chain's rules", "nft flush chain ip cloister source"},
		{"one chain", "nft delete chain ip cloister source"},
		{"a rule of somebody else in our table", "nft insert rule ip cloister forward drop"},
		{"the link", "ip link del " + netplan.HostLink},
		{"the link's address", "ip addr flush dev " + netplan.HostLink},
		{"the link is down", "ip link set down dev " + netplan.HostLink},
		{"the route", "ip route del 198.51.100.0/24 dev " + netplan.HostLink},
		{"the neighbours", "ip neigh flush nud permanent dev " + netplan.HostLink},
		{"the uplink's forwarding", "sysctl -qw net.ipv4.conf.wan.forwarding=0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			n := network("neta", "198.51.100.10", "10.240.0.5")
			w.apply(n)
			w.serve(netplan.EdgeNS, "198.51.100.2:443", "arm")
			want := map[[2]string]string{{sandbox("neta", "10.240.0.5"), "203.0.113.9:80"}: "outside 203.0.113.1", {netplan.HostNS, "198.51.100.2:443"}: "arm 198.51.100.254"}
			w.wants("before", want)
			w.on("host", c.line)
			w.apply(n)
			w.wants("after", want)
		})
	}
}

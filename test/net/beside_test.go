package net

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/netplan"
)

// load loads rules of somebody else on the host.
func (w *world) load(file string) {
	w.t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", file))
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.HasSuffix(file, ".nft") {
		w.on("host", "nft -f "+path)
		return
	}
	if legacy, ok := strings.CutPrefix(file, "legacy/"); ok {
		w.on("host", "iptables-legacy-restore "+filepath.Join(filepath.Dir(filepath.Dir(path)), legacy))
	} else {
		w.on("host", "iptables-restore "+path)
	}
	// Their programs switch forwarding on, or expect it.
	w.on("host", "sysctl -qw net.ipv4.ip_forward=1")
}

// others is every rule of the host that is not in our table.
func (w *world) others() string {
	var out []string
	inside := false
	for line := range strings.Lines(w.on("host", "nft --stateless list ruleset")) {
		inside = inside || strings.HasPrefix(line, "table ip "+netplan.Table+" ")
		if !inside {
			out = append(out, line)
		}
		inside = inside && !strings.HasPrefix(line, "}")
	}
	return strings.TrimSpace(strings.Join(out, ""))
}

// container is one of Docker's: 172.17.0.2 behind the bridge docker0.
func (w *world) container() {
	w.t.Helper()
	if _, err := w.stage.EnsureSandbox("container"); err != nil {
		w.t.Fatal(err)
	}
	w.on("host", "ip link add docker0 type bridge")
	w.on("host", "ip addr add 172.17.0.1/16 dev docker0")
	w.on("host", "ip link set docker0 up")
	w.on("host", "ip link add veth0 type veth peer name eth0 netns "+w.stage.Path("container"))
	w.on("host", "ip link set veth0 master docker0 up")
	w.on("container", "ip addr add 172.17.0.2/16 dev eth0")
	w.on("container", "ip link set eth0 up")
	w.on("container", "ip route add default via 172.17.0.1")
	w.serveOn(w.stage, "container", "0.0.0.0:80", "container")
}

// TestBesideOthers has the rules of Docker, of ufw and of an owner's own firewall on the host. Their
// traffic and their rules stay as they are; ours works inside; the way out is found to be closed, and opens with the
// very lines that the owner is told.
func TestBesideOthers(t *testing.T) {
	if _, err := exec.LookPath("iptables-restore"); err != nil {
		t.Fatal("iptables is missing: hack/install")
	}
	type answers map[[2]string]string
	docker := answers{{"container", "203.0.113.9:80"}: "outside 203.0.113.1", {"outside", "203.0.113.1:8080"}: "container 203.0.113.9", {"outside", "172.17.0.2:80"}: "container 203.0.113.9", {"container", "198.51.100.2:443"}: ""}
	ufw := answers{{"outside", "203.0.113.1:22"}: "host 203.0.113.9", {"outside", "203.0.113.1:81"}: "", {"neighbour", "203.0.113.9:80"}: ""}
	for _, c := range []struct {
		name   string
		files  []string
		theirs []answers
		owner  string
		// means is what a line does that is a command of a program that is not here.
		means map[string]string
	}{
		{"Docker", []string{"docker.rules"}, []answers{docker}, "Docker", nil},
		{"ufw", []string{"ufw.rules"}, []answers{ufw}, "ufw", map[string]string{"ufw route allow in on cl-host": "iptables -A ufw-user-forward -i cl-host -j ACCEPT"}},
		{"Docker with the older packet filter", []string{"legacy/docker.rules"}, []answers{docker}, "Docker", nil},
		{"an owner's own", []string{"firewall.nft"}, []answers{{{"neighbour", "203.0.113.9:80"}: "outside 192.168.50.2", {"outside", "192.168.50.2:80"}: ""}}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.neighbour()
			w.container()
			w.on("outside", "ip route add 172.17.0.0/16 via 203.0.113.1")
			for _, file := range c.files {
				w.load(file)
			}
			w.on("host", "sysctl -qw net.ipv4.ip_forward=1")
			w.serveOn(w.stage, "host", "0.0.0.0:22", "host")
			w.serveOn(w.stage, "host", "0.0.0.0:81", "host")
			ask := func(when string) {
				t.Helper()
				for _, theirs := range c.theirs {
					w.wants(when, theirs)
				}
			}
			rules := w.others()
			ask("before")
			n := network("neta", "198.51.100.10", "10.240.0.5", "10.240.0.6")
			w.apply(n)
			guest, peer := sandbox("neta", "10.240.0.5"), sandbox("neta", "10.240.0.6")
			w.serve(netplan.EdgeNS, "198.51.100.2:443", "arm")
			w.serve(peer, "0.0.0.0:80", "peer")
			ask("beside")
			inside := answers{
				{netplan.HostNS, "198.51.100.2:443"}: "arm 198.51.100.254", {guest, "198.51.100.2:443"}: "arm 198.51.100.10", {guest, "10.240.0.6:80"}: "peer 10.240.0.5",
				{guest, "172.17.0.2:80"}: "", {guest, "192.168.50.2:80"}: "", {guest, "203.0.113.1:22"}: "",
			}
			w.wants("beside", inside)
			w.wants("their policy holds", answers{{guest, "203.0.113.9:80"}: ""})
			if now := w.others(); now != rules {
				t.Errorf("their rules changed:\n%s\nwere\n%s", now, rules)
			}
			found, err := w.fabric.Obstacles(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || found[0].Owner != c.owner {
				t.Fatalf("found %v, want one of %q", found, c.owner)
			}
			for _, line := range found[0].Lines {
				if same := c.means[line]; same != "" {
					line = same
				} else if strings.HasPrefix(line, "ufw") {
					t.Fatalf("nobody knows what %q does", line)
				}
				w.on("host", line)
			}
			opened := w.others()
			w.wants("opened by the owner", answers{{guest, "203.0.113.9:80"}: "outside 203.0.113.1", {"outside", "198.51.100.2:443"}: ""})
			w.wants("opened by the owner", inside)
			ask("opened by the owner")
			if found, err := w.fabric.Obstacles(t.Context()); err != nil || len(found) > 0 {
				t.Errorf("still said to be in the way: %v %v", found, err)
			}
			if err := w.fabric.Down(context.Background()); err != nil {
				t.Fatal(err)
			}
			ask("after down")
			if now := w.others(); now != opened {
				t.Errorf("after down, their rules are\n%s\nwere\n%s", now, opened)
			}
			for _, name := range []string{"net.ipv4.ip_forward", "net.ipv4.conf.wan.forwarding"} {
				if got := w.setting(name); got != "1" {
					t.Errorf("after down, %s is %s", name, got)
				}
			}
		})
	}
}

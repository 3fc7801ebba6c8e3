package net

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/internal/fabric"
	"cloister.dev/cloister/internal/netplan"
	"cloister.dev/cloister/internal/spec"
)

// world is a host with an uplink to a machine outside, and Cloister's networks on it.
type world struct {
	t      *testing.T
	fabric *fabric.Fabric
	plan   netplan.Host
	number int64
	dir    string
	stage  *fabric.Fabric // pins the host and what is around it
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root: network namespaces")
	}
	dir, err := os.MkdirTemp("", "clnet")
	if err != nil {
		t.Fatal(err)
	}
	// The namespaces of the host and of the world are pinned by a fabric of their own.
	stage, err := fabric.New(fabric.Options{RunDir: filepath.Join(dir, "stage")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stage.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"host", "outside"} {
		if _, err := stage.EnsureSandbox(name); err != nil {
			t.Fatal(err)
		}
	}
	host, world2 := stage.Path("host"), stage.Path("outside")
	for _, line := range []string{
		"--net=" + host + " sysctl -qw net.ipv4.ip_forward=0", // a new namespace has what the machine has
		"--net=" + host + " ip link add wan type veth peer name wan netns " + world2,
		"--net=" + host + " ip addr add 203.0.113.1/24 dev wan", "--net=" + host + " ip link set wan up",
		"--net=" + host + " ip route add default via 203.0.113.9",
		"--net=" + world2 + " ip addr add 203.0.113.9/24 dev wan", "--net=" + world2 + " ip link set wan up",
		"--net=" + world2 + " ip addr add 10.240.0.99/32 dev lo", "--net=" + world2 + " ip addr add 192.168.7.7/32 dev lo",
	} {
		if out, err := exec.Command("nsenter", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("nsenter %s: %v %s", line, err, out)
		}
	}
	f, err := fabric.New(fabric.Options{RunDir: filepath.Join(dir, "run"), HostNS: host})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, fabric: f, dir: dir, stage: stage, plan: netplan.Host{Pool: netip.MustParsePrefix("198.51.100.0/24"), Edge: addr("198.51.100.1"), ARM: addr("198.51.100.2"), DNS: addr("198.51.100.3"), MTU: 1500}}
	t.Cleanup(func() {
		if err := f.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.serveAt(stage, "outside", "0.0.0.0:80")
	return w
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// network is a virtual network 10.0.0.0/8 with one NIC for each address.
func network(id string, outbound string, addresses ...string) netplan.Network {
	n := netplan.Network{ID: id, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, MTU: 1500, Outbound: addr(outbound), Groups: map[string]netplan.Group{},
		Subnets: []netplan.Subnet{{ID: id + "/a", Prefix: netip.MustParsePrefix("10.240.0.0/24")}}}
	for _, a := range addresses {
		n.NICs = append(n.NICs, spec.NIC{Name: id + "/" + a, Network: id, Subnet: id + "/a", Sandbox: sandbox(id, a), Interface: "eth0", MAC: "00:0d:3a:00:00:" + fmt.Sprintf("%02x", addr(a).As4()[3]), Address: addr(a)})
	}
	return n
}

func sandbox(id, address string) string {
	return "m-" + id + "-" + strings.ReplaceAll(address, ".", "-")
}

func endpoint(n *netplan.Network, address, service, near, far string) {
	n.Ends = append(n.Ends, netplan.Endpoint{Endpoint: spec.Endpoint{Name: n.ID + "/pe" + address, Network: n.ID, Subnet: n.ID + "/a", Address: addr(address), Service: service, Return: true, Approved: true},
		Port: 443, NetworkSide: addr(near), ServiceSide: addr(far)})
}

func (w *world) apply(networks ...netplan.Network) {
	w.t.Helper()
	uplinks, err := w.fabric.Uplinks(w.plan.LAN)
	if err != nil {
		w.t.Fatal(err)
	}
	w.plan.Uplinks = uplinks
	w.plan.Networks = networks
	w.number++
	if err := w.fabric.Apply(w.t.Context(), "host", w.number, netplan.ForHost(w.plan)); err != nil {
		w.t.Fatal(err)
	}
	for _, n := range networks {
		if err := w.fabric.Apply(w.t.Context(), n.ID, w.number, netplan.ForNetwork(n)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// serve answers every connection in a namespace with a word and the client's address.
func (w *world) serve(ns, at, word string) {
	w.t.Helper()
	w.serveOn(w.fabric, ns, at, word)
}

func (w *world) serveAt(f *fabric.Fabric, ns, at string) { w.serveOn(f, ns, at, "outside") }

func (w *world) serveOn(f *fabric.Fabric, ns, at, word string) {
	l, err := f.Listen(ns, at)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(c, "%s %s\n", word, c.RemoteAddr().(*net.TCPAddr).IP)
			_ = c.Close()
		}
	}()
}

// on runs a command line in a namespace of the stage.
func (w *world) on(ns, line string) string {
	w.t.Helper()
	out, err := exec.Command("nsenter", append([]string{"--net=" + w.stage.Path(ns)}, strings.Fields(line)...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("in %s: %s: %v %s", ns, line, err, out)
	}
	return string(out)
}

// askOn is ask for a namespace of the stage.
func (w *world) askOn(ns, to string) (string, error) { return w.askBy(w.stage, ns, to) }

// ask connects from a namespace and returns what it is told, or an error within a second and a half.
func (w *world) ask(ns, to string) (string, error) { return w.askBy(w.fabric, ns, to) }

func (w *world) askBy(f *fabric.Fabric, ns, to string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 1500*time.Millisecond)
	defer cancel()
	c, err := f.Dial(ctx, ns, "tcp4", to)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(1500 * time.Millisecond)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.TrimSpace(line), err
}

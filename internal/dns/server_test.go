package dns

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"cloister.dev/cloister/internal/spec"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// bench is a resolver with sockets on loopback in place of those in namespaces.
type bench struct {
	t    *testing.T
	file string

	mu      sync.Mutex
	changed chan struct{}
	packets map[string]net.PacketConn // by namespace
	streams map[string]net.Listener
}

func newBench(t *testing.T, z spec.Zones) *bench {
	t.Helper()
	b := &bench{t: t, file: filepath.Join(t.TempDir(), "zones.json"), changed: make(chan struct{}), packets: map[string]net.PacketConn{}, streams: map[string]net.Listener{}}
	b.write(z)
	done := make(chan error, 1)
	go func() {
		done <- Serve(t.Context(), Options{File: b.file, Listen: b.listen, Log: slog.New(slog.DiscardHandler)})
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) write(z spec.Zones) {
	b.t.Helper()
	if err := Write(b.file, z); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) listen(netns, _ string) (net.PacketConn, net.Listener, error) {
	if netns == "missing" {
		return nil, nil, os.ErrNotExist
	}
	packet, stream, err := listenBoth("127.0.0.1:0")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.packets[netns], b.streams[netns] = packet, stream
	close(b.changed)
	b.changed = make(chan struct{})
	return packet, stream, err
}

// address waits until the network's sockets are open.
func (b *bench) address(netns, network string) string {
	b.t.Helper()
	timeout := time.After(patience)
	for {
		b.mu.Lock()
		packet, stream, changed := b.packets[netns], b.streams[netns], b.changed
		b.mu.Unlock()
		switch {
		case packet != nil && network == "udp":
			return packet.LocalAddr().String()
		case stream != nil && network == "tcp":
			return stream.Addr().String()
		}
		select {
		case <-changed:
		case <-timeout:
			b.t.Fatalf("no sockets in %s after %s", netns, patience)
		}
	}
}

// ask sends a question in the network.
func (b *bench) ask(netns, network, name string, qtype uint16, change ...func(*dns.Msg)) *dns.Msg {
	b.t.Helper()
	q := new(dns.Msg).SetQuestion(name, qtype)
	for _, f := range change {
		f(q)
	}
	m, _, err := (&dns.Client{Net: network, Timeout: patience, UDPSize: dns.MaxMsgSize}).Exchange(q, b.address(netns, network))
	if err != nil {
		b.t.Fatalf("%s in %s by %s: %v", name, netns, network, err)
	}
	return m
}

// until asks again until the answer is as wanted.
func (b *bench) until(netns, name, want string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := text(b.ask(netns, "udp", name, dns.TypeA))
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s in %s: %q after %s, want %q", name, netns, got, patience, want)
		}
	}
}

// text is the addresses of an answer, or its code.
func text(m *dns.Msg) string {
	out := ""
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			out += " " + a.A.String()
		}
	}
	if out == "" {
		return dns.RcodeToString[m.Rcode]
	}
	return out[1:]
}

func edns(size uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.SetEdns0(size, false) } }

func TestServe(t *testing.T) {
	z := zones()
	z.Upstreams = []string{"127.0.0.1:1"}
	z.EdgeNetNS = "edge"
	b := newBench(t, z)
	const name = "c-2.guid.privatelink.eastus.azmk8s.io."
	for _, network := range []string{"udp", "tcp"} {
		m := b.ask("linked", network, "C-2.guid.privatelink.EASTUS.azmk8s.io.", dns.TypeA)
		if text(m) != "10.240.0.4" || !m.Authoritative || !m.RecursionAvailable || !m.Response {
			t.Errorf("%s: %v", network, m)
		}
		if got := m.Answer[0].Header().Name; got != "C-2.guid.privatelink.EASTUS.azmk8s.io." {
			t.Errorf("%s: the name came back as %s", network, got)
		}
	}
	if m := b.ask("bare", "udp", name, dns.TypeA); m.Rcode != dns.RcodeNameError || len(m.Ns) != 1 {
		t.Errorf("not linked: %v", m)
	}
	if m := b.ask("edge", "udp", "c-1.hcp.eastus.azmk8s.io.", dns.TypeA); text(m) != "10.240.0.4" || m.RecursionAvailable {
		t.Errorf("public server: %v", m)
	}
	if m := b.ask("edge", "udp", "www.example.com.", dns.TypeA); m.Rcode != dns.RcodeRefused {
		t.Errorf("public server as a resolver: %v", m)
	}
	if m := b.ask("linked", "udp", name, dns.TypeANY); m.Rcode != dns.RcodeRefused {
		t.Errorf("ANY: %v", m)
	}
	if m := b.ask("linked", "udp", name, dns.TypeA, func(m *dns.Msg) { m.SetEdns0(4096, false); m.IsEdns0().SetVersion(1) }); m.Rcode != dns.RcodeBadVers || len(m.Answer) > 0 {
		t.Errorf("EDNS of another version: %v", m)
	}
	if m := b.ask("linked", "udp", "corp.example.", dns.TypeSOA); len(m.Answer) != 1 {
		t.Errorf("SOA: %v", m)
	}
	if m := b.ask("linked", "udp", "www.example.com.", dns.TypeA); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("no server elsewhere: %v", m)
	}
}

func TestChange(t *testing.T) {
	z := zones()
	z.Networks = append(z.Networks, spec.ZoneNetwork{ID: "late", NetNS: "missing"})
	b := newBench(t, z)
	const name = "c-2.guid.privatelink.eastus.azmk8s.io."
	b.until("linked", name, "10.240.0.4")

	if err := os.WriteFile(b.file, []byte("{half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	z.Networks[0].Zones, z.Networks[1].Zones = nil, []string{"z1"}
	b.until("linked", name, "10.240.0.4") // as before
	b.write(z)
	b.until("bare", name, "10.240.0.4")
	b.until("linked", name, "NXDOMAIN")

	if err := os.Remove(b.file); err != nil {
		t.Fatal(err)
	}
	b.until("bare", name, "10.240.0.4")

	z.Networks = z.Networks[:1]
	packet, stream := b.packets["bare"], b.address("bare", "tcp")
	conn, err := net.Dial("tcp", stream)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	b.write(z)
	// The network is gone: its sockets are closed, also those of connections.
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
		t.Errorf("a connection of a network that is gone: %v", err)
	}
	if err := packet.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a socket of a network that is gone: %v", err)
	}
	if _, err := net.Dial("tcp", stream); err == nil {
		t.Error("a network that is gone takes connections")
	}
}

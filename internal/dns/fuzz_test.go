package dns

import (
	"log/slog"
	"net"
	"testing"

	"github.com/miekg/dns"
)

// written takes one response instead of a socket.
type written struct {
	dns.ResponseWriter
	t     *testing.T
	count int
}

func (w *written) LocalAddr() net.Addr { return &net.UDPAddr{} }

func (w *written) WriteMsg(m *dns.Msg) error {
	w.count++
	b, err := m.Pack()
	if err == nil && len(b) > ednsSize {
		w.t.Errorf("%d bytes in a packet", len(b))
	}
	return err
}

// FuzzServeDNS has no packet break the resolver or bring it to send more than fits, or more than one answer.
func FuzzServeDNS(f *testing.F) {
	networks, _ := views(zones())
	h := &handler{log: slog.New(slog.DiscardHandler)}
	h.view.Store(networks["linked"])
	for _, name := range []string{"api.corp.example.", "x.corp.example.", "round.corp.example.", ".", "a.b.c.d.e.f.azmk8s.io."} {
		q := new(dns.Msg).SetQuestion(name, dns.TypeA)
		q.SetEdns0(ednsSize, true)
		b, err := q.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var m dns.Msg
		if m.Unpack(packet) != nil {
			return
		}
		w := &written{t: t}
		h.ServeDNS(w, &m)
		if w.count > 1 || m.Response && w.count > 0 {
			t.Errorf("%d answers", w.count)
		}
	})
}

func BenchmarkPrivateName(b *testing.B) {
	networks, _ := views(zones())
	h := &handler{log: slog.New(slog.DiscardHandler)}
	h.view.Store(networks["linked"])
	q := new(dns.Msg).SetQuestion("c-2.guid.privatelink.eastus.azmk8s.io.", dns.TypeA)
	b.ReportAllocs()
	for b.Loop() {
		if m, _ := h.answer(q); len(m.Answer) != 1 {
			b.Fatal(m)
		}
	}
}

// BenchmarkSocket asks by UDP over loopback from many sides at once.
func BenchmarkSocket(b *testing.B) {
	packet, stream, err := listenBoth("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	networks, _ := views(zones())
	h := &handler{log: slog.New(slog.DiscardHandler)}
	h.view.Store(networks["linked"])
	l, err := open(Options{Log: h.log, Listen: func(string, string) (net.PacketConn, net.Listener, error) { return packet, stream, nil }}, "", "", h)
	if err != nil {
		b.Fatal(err)
	}
	defer l.close()
	q, err := new(dns.Msg).SetQuestion("c-2.guid.privatelink.eastus.azmk8s.io.", dns.TypeA).Pack()
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("udp4", packet.LocalAddr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		buf := make([]byte, ednsSize)
		for pb.Next() {
			if _, err := conn.Write(q); err != nil {
				b.Error(err)
				return
			}
			if _, err := conn.Read(buf); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

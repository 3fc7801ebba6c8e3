package dns

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzReady has what lies ready be the same as what would be made anew, whatever the packet.
func FuzzReady(f *testing.F) {
	networks, _ := views(zones())
	v := networks["linked"]
	h := &handler{log: slog.New(slog.DiscardHandler)}
	h.view.Store(v)
	for _, name := range []string{"api.corp.example.", "x.corp.example.", "round.corp.example.", "c-2.guid.privatelink.eastus.azmk8s.io.", "."} {
		for _, change := range []func(*dns.Msg){func(*dns.Msg) {}, func(m *dns.Msg) { m.SetEdns0(4096, true) }, func(m *dns.Msg) { m.RecursionDesired = false }, func(m *dns.Msg) { m.Question[0].Name = strings.ToUpper(name) }} {
			q := new(dns.Msg).SetQuestion(name, dns.TypeA)
			change(q)
			b, err := q.Pack()
			if err != nil {
				f.Fatal(err)
			}
			h.ServeDNS(&written{}, q)
			f.Add(b)
		}
	}
	if len(v.ready.of) == 0 {
		f.Fatal("nothing lies ready")
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		quick, ok := v.ready.get(packet, nil)
		if !ok {
			return
		}
		var req, got dns.Msg
		if err := req.Unpack(packet); err != nil {
			t.Fatalf("answered what cannot be read: %v", err)
		}
		if err := got.Unpack(quick); err != nil {
			t.Fatal(err)
		}
		w := &kept{}
		h.ServeDNS(w, &req)
		if w.m == nil || !strings.EqualFold(w.m.String(), got.String()) {
			t.Errorf("ready:\n%s\nmade:\n%s", &got, w.m)
		}
		if got.Question[0].Name != req.Question[0].Name {
			t.Errorf("asked for %s, answered %s", req.Question[0].Name, got.Question[0].Name)
		}
	})
}

// kept takes a response and keeps it.
type kept struct {
	written
	m *dns.Msg
}

func (w *kept) WriteMsg(m *dns.Msg) error {
	w.m = m
	return nil
}

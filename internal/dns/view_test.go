package dns

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"cloister.dev/cloister/internal/spec"
)

func zones() spec.Zones {
	a := netip.MustParseAddr
	return spec.Zones{
		PublicZones: []string{"azmk8s.io"},
		Public:      []spec.PublicName{{Name: "c-1.hcp.eastus.azmk8s.io", Address: a("10.240.0.4")}, {Name: "app.eastus.cloudapp.azure.com", Address: a("198.51.100.9")}},
		Private: map[string]spec.PrivateZone{
			"z1": {Name: "guid.privatelink.eastus.azmk8s.io", Records: []spec.Record{{Name: "c-2", Type: "A", TTL: 300, Address: []netip.Addr{a("10.240.0.4")}}}},
			"z2": {Name: "corp.example", Records: []spec.Record{
				{Name: "@", Type: "A", TTL: 60, Address: []netip.Addr{a("10.0.0.1")}}, {Name: "*", Type: "A", TTL: 60, Address: []netip.Addr{a("10.0.0.2")}},
				{Name: "deep.host", Type: "A", TTL: 60, Address: []netip.Addr{a("10.0.0.3")}}, {Name: "api", Type: "CNAME", TTL: 60, Target: "c-2.guid.privatelink.eastus.azmk8s.io"},
				{Name: "secret", Type: "CNAME", TTL: 60, Target: "nothing.eastus.azmk8s.io"},
				{Name: "round", Type: "CNAME", TTL: 60, Target: "round.corp.example"}, {Name: "out", Type: "CNAME", TTL: 60, Target: "www.example.com"},
			}},
			"z3": {Name: "sub.corp.example", Records: []spec.Record{{Name: "host", Type: "A", TTL: 60, Address: []netip.Addr{a("10.0.0.9")}}}},
			"z4": {Name: "Corp.internal", Records: []spec.Record{{Name: "host", Type: "A", TTL: 60, Address: []netip.Addr{a("10.0.0.10")}}}},
		},
		Networks: []spec.ZoneNetwork{{ID: "linked", NetNS: "linked", Zones: []string{"z1", "z2", "z3", "z4", "gone"}}, {ID: "bare", NetNS: "bare"}},
	}
}

func TestAnswers(t *testing.T) {
	networks, public := views(zones())
	for _, c := range []struct {
		name string
		view *view
		ask  string
		typ  uint16
		want string // addresses, an rcode, or "forward NAME"
	}{
		{"linked zone", networks["linked"], "c-2.guid.privatelink.eastus.azmk8s.io.", dns.TypeA, "10.240.0.4"},
		{"any case", networks["linked"], "C-2.GUID.privatelink.eastus.azmk8s.io.", dns.TypeA, "10.240.0.4"},
		{"no such type", networks["linked"], "c-2.guid.privatelink.eastus.azmk8s.io.", dns.TypeAAAA, "NOERROR"},
		{"no such name", networks["linked"], "x.guid.privatelink.eastus.azmk8s.io.", dns.TypeA, "NXDOMAIN"},
		{"not linked: it does not leak", networks["bare"], "c-2.guid.privatelink.eastus.azmk8s.io.", dns.TypeA, "NXDOMAIN"},
		{"the public name, inside", networks["bare"], "c-1.hcp.eastus.azmk8s.io.", dns.TypeA, "10.240.0.4"},
		{"the public name, outside", public, "c-1.hcp.eastus.azmk8s.io.", dns.TypeA, "10.240.0.4"},
		{"the private name, outside", public, "c-2.guid.privatelink.eastus.azmk8s.io.", dns.TypeA, "NXDOMAIN"},
		{"apex", networks["linked"], "corp.example.", dns.TypeA, "10.0.0.1"},
		{"wildcard", networks["linked"], "whatever.corp.example.", dns.TypeA, "10.0.0.2"},
		{"a wildcard is not below an existing name", networks["linked"], "x.host.corp.example.", dns.TypeA, "NXDOMAIN"},
		{"a name that exists by what is below it", networks["linked"], "host.corp.example.", dns.TypeA, "NOERROR"},
		{"alias across zones", networks["linked"], "api.corp.example.", dns.TypeA, "10.240.0.4"},
		{"alias to what must not leak", networks["linked"], "secret.corp.example.", dns.TypeA, "NXDOMAIN"},
		{"alias out", networks["linked"], "out.corp.example.", dns.TypeA, "forward www.example.com."},
		{"alias in a circle", networks["linked"], "round.corp.example.", dns.TypeA, "SERVFAIL"},
		{"reverse of a private range", networks["linked"], "4.0.240.10.in-addr.arpa.", dns.TypePTR, "NXDOMAIN"},
		{"a single label", networks["linked"], "wpad.", dns.TypeA, "NXDOMAIN"},
		{"the world", networks["bare"], "www.example.com.", dns.TypeA, "forward www.example.com."},
		{"the public name's parent exists", networks["bare"], "hcp.eastus.azmk8s.io.", dns.TypeA, "NOERROR"},
		{"a public name outside of the trees", networks["bare"], "app.eastus.cloudapp.azure.com.", dns.TypeA, "198.51.100.9"},
		{"beside it", networks["bare"], "other.eastus.cloudapp.azure.com.", dns.TypeA, "forward other.eastus.cloudapp.azure.com."},
		{"a longer zone wins", networks["linked"], "host.sub.corp.example.", dns.TypeA, "10.0.0.9"},
		{"and hides the shorter one", networks["linked"], "other.sub.corp.example.", dns.TypeA, "NXDOMAIN"},
		{"a linked zone over a closed tree", networks["linked"], "host.corp.internal.", dns.TypeA, "10.0.0.10"},
		{"the rest of that tree", networks["linked"], "host.other.internal.", dns.TypeA, "NXDOMAIN"},
		{"the root's servers", networks["bare"], ".", dns.TypeNS, "forward ."},
		{"a country's servers", networks["bare"], "example.", dns.TypeNS, "forward example."},
		{"an IPv6 address of a name that leads here", networks["linked"], "api.corp.example.", dns.TypeAAAA, "NOERROR"},
		{"the public server is no resolver", public, "www.example.com.", dns.TypeA, "forward www.example.com."},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := c.view.resolve(dns.CanonicalName(c.ask), c.typ)
			var got []string
			for _, rr := range out.answer {
				if a, ok := rr.(*dns.A); ok {
					got = append(got, a.A.String())
				}
			}
			text := strings.Join(got, " ")
			switch {
			case out.forward != "":
				text = "forward " + out.forward
			case text == "" || out.rcode != dns.RcodeSuccess:
				text = dns.RcodeToString[out.rcode]
			}
			if text != c.want {
				t.Fatalf("%s: %q, want %q", c.ask, text, c.want)
			}
			if out.forward == "" && text == "NXDOMAIN" && (len(out.ns) != 1 || !out.own) {
				t.Fatalf("a no without an SOA, or not authoritative: %+v", out)
			}
		})
	}
}

func TestPublicServerRefusesTheWorld(t *testing.T) {
	_, public := views(zones())
	h := &handler{log: slog.New(slog.DiscardHandler)}
	h.view.Store(public)
	if r, _ := h.answer(new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)); r.Rcode != dns.RcodeRefused || r.RecursionAvailable {
		t.Fatalf("got %v", r)
	}
}

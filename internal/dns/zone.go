package dns

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"cloister.dev/cloister/internal/spec"
)

// zone is a private zone ready to answer: record sets by name, lower case with a dot at the end.
type zone struct {
	apex  string
	sets  map[string]map[uint16][]dns.RR
	empty map[string]bool // names that exist only because something stands below them
}

// soaTTL is also how long a "no" is kept (RFC 2308); a record that is made is seen soon.
const soaTTL = 1

func newZone(z spec.PrivateZone) *zone {
	out := &zone{apex: dns.CanonicalName(z.Name), sets: map[string]map[uint16][]dns.RR{}, empty: map[string]bool{}}
	for _, r := range z.Records {
		name := out.apex
		if r.Name != "@" && r.Name != "" {
			name = dns.CanonicalName(r.Name + "." + z.Name)
		}
		for _, rr := range records(name, r) {
			if out.sets[name] == nil {
				out.sets[name] = map[uint16][]dns.RR{}
			}
			t := rr.Header().Rrtype
			out.sets[name][t] = append(out.sets[name][t], rr)
		}
		for parent := parentOf(name); len(parent) > len(out.apex); parent = parentOf(parent) {
			out.empty[parent] = true
		}
	}
	return out
}

func records(name string, r spec.Record) []dns.RR {
	h := dns.RR_Header{Name: name, Class: dns.ClassINET, Ttl: r.TTL}
	var out []dns.RR
	switch r.Type {
	case "A":
		h.Rrtype = dns.TypeA
		for _, a := range r.Address {
			if a.Is4() {
				out = append(out, &dns.A{Hdr: h, A: a.AsSlice()})
			}
		}
	case "CNAME":
		h.Rrtype = dns.TypeCNAME
		out = append(out, &dns.CNAME{Hdr: h, Target: dns.CanonicalName(r.Target)})
	}
	return out
}

// find returns the sets at a name (or at the wildcard above it), and whether the name exists.
func (z *zone) find(name string) (map[uint16][]dns.RR, bool) {
	if sets, ok := z.sets[name]; ok {
		return sets, true
	}
	if name == z.apex || z.empty[name] {
		return nil, true
	}
	// The closest existing name above decides about a wildcard (RFC 4592).
	for above := parentOf(name); len(above) >= len(z.apex); above = parentOf(above) {
		if sets, ok := z.sets["*."+above]; ok {
			return sets, true
		}
		if _, ok := z.sets[above]; ok || z.empty[above] || above == z.apex {
			break
		}
	}
	return nil, false
}

func (z *zone) soa() dns.RR {
	return &dns.SOA{Hdr: dns.RR_Header{Name: z.apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: soaTTL},
		Ns: "azureprivatedns.net.", Mbox: "azureprivatedns-host.microsoft.com.", Serial: 1, Refresh: 3600, Retry: 300, Expire: 2419200, Minttl: soaTTL}
}

func parentOf(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return ""
	}
	return name[i:]
}

// neverForwarded are trees of which no query leaves: what is not answered here does not exist.
// Reverse zones of private ranges are those of RFC 6303 and RFC 6761.
func neverForwarded(public []string) map[string]bool {
	out := map[string]bool{"local.": true, "localhost.": true, "internal.": true, "invalid.": true, "test.": true, "home.arpa.": true, "internal.cloudapp.net.": true,
		"10.in-addr.arpa.": true, "168.192.in-addr.arpa.": true, "254.169.in-addr.arpa.": true, "127.in-addr.arpa.": true, "0.in-addr.arpa.": true, "16.129.63.168.in-addr.arpa.": true}
	for i := 16; i < 32; i++ {
		out[itoa(i)+".172.in-addr.arpa."] = true
	}
	for i := 64; i < 128; i++ {
		out[itoa(i)+".100.in-addr.arpa."] = true
	}
	for i := 240; i < 256; i++ {
		out[itoa(i)+".in-addr.arpa."] = true
	}
	for _, z := range public {
		out[dns.CanonicalName(z)] = true
	}
	return out
}

func itoa(n int) string { return netip.AddrFrom4([4]byte{0, 0, 0, byte(n)}).String()[len("0.0.0."):] }

// within returns the longest of the trees that holds the name, or "".
func within(name string, trees map[string]bool) string {
	for ; name != ""; name = parentOf(name) {
		if trees[name] {
			return name
		}
	}
	return ""
}

func isSingleLabel(name string) bool { return strings.Count(name, ".") <= 1 }

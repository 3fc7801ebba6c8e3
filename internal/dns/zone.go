package dns

import (
	"github.com/miekg/dns"

	"cloister.dev/cloister/internal/spec"
)

// zone is a tree of names ready to answer: record sets by name, lower case with a dot at the end.
type zone struct {
	apex  string
	sets  map[string]map[uint16][]dns.RR
	empty map[string]bool // names that exist only because something stands below them
	no    []dns.RR        // its SOA record, in answers that say no
}

func newZone(apex string) *zone {
	z := &zone{apex: dns.CanonicalName(apex), sets: map[string]map[uint16][]dns.RR{}, empty: map[string]bool{}}
	soa := &dns.SOA{
		Hdr: dns.RR_Header{Name: z.apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: spec.SOAMinimum},
		Ns:  spec.SOAHost + ".", Mbox: spec.SOAMail + ".", Serial: spec.SOASerial, Refresh: spec.SOARefresh, Retry: spec.SOARetry, Expire: spec.SOAExpire, Minttl: spec.SOAMinimum,
	}
	z.no = []dns.RR{soa}
	ns := &dns.NS{Hdr: dns.RR_Header{Name: z.apex, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: spec.SOARefresh}, Ns: spec.SOAHost + "."}
	z.add(soa)
	z.add(ns)
	return z
}

// privateZone makes a zone with its records.
func privateZone(p spec.PrivateZone) *zone {
	z := newZone(p.Name)
	for _, r := range p.Records {
		name := z.apex
		if r.Name != "@" && r.Name != "" {
			name = dns.CanonicalName(r.Name + "." + p.Name)
		}
		for _, rr := range records(name, r) {
			z.add(rr)
		}
	}
	return z
}

func (z *zone) add(rr dns.RR) {
	name, t := rr.Header().Name, rr.Header().Rrtype
	if z.sets[name] == nil {
		z.sets[name] = map[uint16][]dns.RR{}
	}
	z.sets[name][t] = append(z.sets[name][t], rr)
	if name == z.apex {
		return
	}
	for parent := parentOf(name); len(parent) > len(z.apex); parent = parentOf(parent) {
		z.empty[parent] = true
	}
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
	if z.empty[name] {
		return nil, true
	}
	// The closest existing name above decides about a wildcard (RFC 4592).
	for above := parentOf(name); len(above) >= len(z.apex); above = parentOf(above) {
		if sets, ok := z.sets["*."+above]; ok {
			return sets, true
		}
		if _, ok := z.sets[above]; ok || z.empty[above] {
			break
		}
	}
	return nil, false
}

// parentOf is the name without its first label; "" of the root's children and the root.
func parentOf(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return ""
	}
	return name[i:]
}

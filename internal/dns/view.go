package dns

import (
	"github.com/miekg/dns"

	"cloister.dev/cloister/internal/spec"
)

// view is what one virtual network sees, or, with forward false, what the public sees.
type view struct {
	zones   map[string]*zone // linked private zones, by apex
	public  *zone            // names that everybody may know
	closed  map[string]bool  // trees of which no query is forwarded
	forward bool
}

// views makes the views of all networks by id, and the public one.
func views(z spec.Zones) (map[string]*view, *view) {
	private := map[string]*zone{}
	for key, p := range z.Private {
		private[key] = newZone(p)
	}
	public := newZone(spec.PrivateZone{Name: "."})
	for _, n := range z.Public {
		name := dns.CanonicalName(n.Name)
		public.sets[name] = map[uint16][]dns.RR{dns.TypeA: records(name, spec.Record{Type: "A", TTL: publicTTL, Address: []addr{n.Address}})}
	}
	closed := neverForwarded(z.PublicZones)
	out := map[string]*view{}
	for _, n := range z.Networks {
		v := &view{zones: map[string]*zone{}, public: public, closed: closed, forward: true}
		for _, key := range n.Zones {
			if p := private[key]; p != nil {
				v.zones[p.apex] = p
			}
		}
		out[n.ID] = v
	}
	trees := map[string]bool{}
	for _, t := range z.PublicZones {
		trees[dns.CanonicalName(t)] = true
	}
	return out, &view{public: public, closed: trees}
}

const publicTTL = 60

// maxChain bounds how many CNAMEs are followed.
const maxChain = 8

// outcome says what to do with a question.
type outcome struct {
	answer  []dns.RR
	ns      []dns.RR
	rcode   int
	own     bool   // authoritative: answered from zones here
	forward string // name that has to be asked elsewhere; "" if the answer is complete
}

// resolve answers from what is here. It follows CNAMEs across zones.
func (v *view) resolve(name string, qtype uint16) outcome {
	var out outcome
	for range maxChain {
		z := v.zoneOf(name)
		if z == nil {
			if sets, ok := v.public.sets[name]; ok {
				out.own = true
				out.answer = append(out.answer, sets[qtype]...)
				if len(sets[qtype]) == 0 {
					out.ns = []dns.RR{soaOf(within(name, v.closed))}
				}
				return out
			}
			if tree := within(name, v.closed); tree != "" || (v.forward && isSingleLabel(name)) {
				out.own, out.rcode = true, dns.RcodeNameError
				if tree == name {
					out.rcode = dns.RcodeSuccess
				}
				out.ns = []dns.RR{soaOf(tree)}
				return out
			}
			out.forward = name
			return out
		}
		out.own = true
		sets, exists := z.find(name)
		if cname := sets[dns.TypeCNAME]; len(cname) > 0 && qtype != dns.TypeCNAME {
			out.answer = append(out.answer, at(name, cname)...)
			name = cname[0].(*dns.CNAME).Target
			continue
		}
		switch {
		case name == z.apex && qtype == dns.TypeSOA:
			out.answer = append(out.answer, z.soa())
		case len(sets[qtype]) > 0:
			out.answer = append(out.answer, at(name, sets[qtype])...)
		default:
			out.ns = []dns.RR{z.soa()}
			if !exists {
				out.rcode = dns.RcodeNameError
			}
		}
		return out
	}
	out.rcode = dns.RcodeServerFailure // a circle
	return out
}

// zoneOf is the linked zone with the longest matching name.
func (v *view) zoneOf(name string) *zone {
	if len(v.zones) == 0 {
		return nil
	}
	for ; name != ""; name = parentOf(name) {
		if z := v.zones[name]; z != nil {
			return z
		}
	}
	return nil
}

// at gives the records the name that was asked for: a wildcard's records have another one.
func at(name string, rrs []dns.RR) []dns.RR {
	if rrs[0].Header().Name == name {
		return rrs
	}
	var out []dns.RR
	for _, rr := range rrs {
		c := dns.Copy(rr)
		c.Header().Name = name
		out = append(out, c)
	}
	return out
}

func soaOf(tree string) dns.RR {
	if tree == "" {
		tree = "."
	}
	return (&zone{apex: tree}).soa()
}

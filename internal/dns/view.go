package dns

import (
	"net/netip"

	"github.com/miekg/dns"

	"cloister.dev/cloister/internal/spec"
)

// view is what one virtual network sees, or, with forward false, what the public sees.
type view struct {
	zones   map[string]*zone // linked private zones, by apex
	trees   map[string]*zone // names that everybody may know, and trees in which nothing else exists, by apex
	loose   map[string]*zone // public names that are in none of the trees: zones of one name
	forward bool             // other names are asked for elsewhere
	ready   readyAnswers     // what was answered from here before
}

// root says no to names that are in no tree.
var root = newZone(".")

// publicTTL is how long the address of a public name may be kept, in seconds.
const publicTTL = 60

// views makes the views of all networks by id, and the public one.
func views(z spec.Zones) (map[string]*view, *view) {
	private := map[string]*zone{}
	for key, p := range z.Private {
		private[key] = privateZone(p)
	}
	public, loose := publicZones(z)
	trees := map[string]*zone{}
	for _, name := range closedTrees() {
		trees[name] = newZone(name)
	}
	for name, zone := range public {
		trees[name] = zone
	}
	out := map[string]*view{}
	for _, n := range z.Networks {
		v := &view{zones: map[string]*zone{}, trees: trees, loose: loose, forward: true}
		for _, key := range n.Zones {
			if p := private[key]; p != nil {
				v.zones[p.apex] = p
			}
		}
		out[n.ID] = v
	}
	return out, &view{trees: public, loose: loose}
}

func publicZones(z spec.Zones) (trees, loose map[string]*zone) {
	trees, loose = map[string]*zone{}, map[string]*zone{}
	for _, name := range z.PublicZones {
		t := newZone(name)
		trees[t.apex] = t
	}
	for _, n := range z.Public {
		name := dns.CanonicalName(n.Name)
		at := longest(trees, name)
		if at == nil {
			at = newZone(name)
			loose[name] = at
		}
		for _, rr := range records(name, spec.Record{Type: "A", TTL: publicTTL, Address: []netip.Addr{n.Address}}) {
			at.add(rr)
		}
	}
	return trees, loose
}

// zoneOf is the zone that answers for a name here; nil: it has to be asked elsewhere. A
// linked private zone comes before all others, also where one of them has a longer name.
func (v *view) zoneOf(name string, qtype uint16) *zone {
	if z := longest(v.zones, name); z != nil {
		return z
	}
	if z := v.loose[name]; z != nil {
		return z
	}
	if z := longest(v.trees, name); z != nil {
		return z
	}
	if v.forward && isSingleLabel(name) && !aboutTrees(qtype) {
		return root
	}
	return nil
}

// longest is the zone with the longest apex that holds the name, or nil.
func longest(zones map[string]*zone, name string) *zone {
	if len(zones) == 0 {
		return nil
	}
	for ; name != ""; name = parentOf(name) {
		if z := zones[name]; z != nil {
			return z
		}
	}
	return nil
}

// maxChain bounds how many CNAMEs are followed.
const maxChain = 8

// outcome says what to do with a question.
type outcome struct {
	answer  []dns.RR
	ns      []dns.RR
	rcode   int
	own     bool   // some of it is from zones here
	forward string // name that has to be asked elsewhere; "" if the answer is complete
}

// resolve answers from what is here. It follows CNAMEs across zones. The slices of the outcome
// may be those of a zone: they are not to be changed.
func (v *view) resolve(name string, qtype uint16) outcome {
	var out outcome
	for range maxChain {
		z := v.zoneOf(name, qtype)
		if z == nil {
			out.forward = name
			return out
		}
		out.own = true
		sets, exists := z.find(name)
		if cname := sets[dns.TypeCNAME]; len(cname) > 0 && qtype != dns.TypeCNAME {
			out.answer = append(out.answer[:len(out.answer):len(out.answer)], at(name, cname)...)
			name = cname[0].(*dns.CNAME).Target
			continue
		}
		switch set := sets[qtype]; {
		case len(set) > 0 && len(out.answer) == 0:
			out.answer = at(name, set)
		case len(set) > 0:
			out.answer = append(out.answer[:len(out.answer):len(out.answer)], at(name, set)...)
		default:
			out.ns = z.no
			if !exists {
				out.rcode = dns.RcodeNameError
			}
		}
		return out
	}
	out.rcode = dns.RcodeServerFailure // a circle
	return out
}

// at gives the records the name that was asked for: a wildcard's records have another one.
func at(name string, rrs []dns.RR) []dns.RR {
	if rrs[0].Header().Name == name {
		return rrs
	}
	out := make([]dns.RR, 0, len(rrs))
	for _, rr := range rrs {
		c := dns.Copy(rr)
		c.Header().Name = name
		out = append(out, c)
	}
	return out
}

package dns

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/miekg/dns"
)

// ednsSize is what fits into a packet on any link (https://dnsflagday.net/2020/).
const ednsSize = 1232

// maxWaiting is how many queries of one network may wait for answers from elsewhere at a
// time: a network that asks more keeps no other from being answered.
const maxWaiting = 128

// handler answers the queries that come in at one network's resolver, or at the public server.
type handler struct {
	view      atomic.Pointer[view]
	forwarder *forwarder // nil for the public server
	waiting   atomic.Int32
	log       *slog.Logger
}

// ServeDNS implements dns.Handler.
func (h *handler) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	resp, own := h.answer(req)
	if resp == nil {
		return
	}
	opt := req.IsEdns0()
	if opt != nil {
		resp.SetEdns0(ednsSize, false)
		if opt.Version() != 0 {
			resp.Answer, resp.Ns, resp.Rcode = nil, nil, dns.RcodeBadVers
		}
	}
	size := dns.MaxMsgSize
	if w.LocalAddr().Network() == "udp" {
		size = dns.MinMsgSize
		if opt != nil {
			size = max(size, min(int(opt.UDPSize()), ednsSize))
		}
	}
	resp.Truncate(size)
	if own != nil {
		own.ready.keep(req, resp)
	}
	if err := w.WriteMsg(resp); err != nil {
		h.log.Debug("answer a query", "error", err)
	}
}

// answer makes the response; nil: there is none (what is itself a response is not answered, or two servers could talk for ever).
// own is the view that it is from, if nobody else was asked.
func (h *handler) answer(req *dns.Msg) (resp *dns.Msg, own *view) {
	if req.Response {
		return nil, nil
	}
	resp = new(dns.Msg)
	switch {
	case req.Opcode != dns.OpcodeQuery:
		return resp.SetRcode(req, dns.RcodeNotImplemented), nil
	case len(req.Question) != 1:
		return resp.SetRcodeFormatError(req), nil
	}
	q := req.Question[0]
	resp.SetReply(req)
	resp.RecursionAvailable = h.forwarder != nil
	v := h.view.Load()
	switch {
	case q.Qclass != dns.ClassINET, q.Qtype == dns.TypeANY, q.Qtype == dns.TypeAXFR, q.Qtype == dns.TypeIXFR:
		resp.Rcode = dns.RcodeRefused
		return resp, nil
	case v == nil:
		resp.Rcode = dns.RcodeServerFailure
		return resp, nil
	}
	name := dns.CanonicalName(q.Name)
	out := v.resolve(name, q.Qtype)
	resp.Answer, resp.Ns, resp.Rcode = out.answer, out.ns, out.rcode
	switch {
	case out.forward == "":
		resp.Authoritative, own = true, v
	case h.forwarder == nil:
		resp.Rcode = dns.RcodeRefused // no resolver for strangers
		return resp, nil
	default:
		h.elsewhere(v, out.forward, q.Qtype, resp)
	}
	if len(resp.Answer) > 0 && q.Name != name && resp.Answer[0].Header().Name == name {
		// The name comes back as it was asked: some clients compare letters.
		first := dns.Copy(resp.Answer[0])
		first.Header().Name = q.Name
		resp.Answer = append([]dns.RR{first}, resp.Answer[1:]...)
	}
	return resp, own
}

// elsewhere completes the response with what other servers say of the name. Where a CNAME
// of theirs leads to a name that is ours, as those of private endpoints do, the rest is answered from here.
func (h *handler) elsewhere(v *view, name string, qtype uint16, resp *dns.Msg) {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		resp.Rcode = dns.RcodeServerFailure
		return
	}
	defer h.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), forwardTimeout)
	defer cancel()
	for range maxChain {
		got, err := h.forwarder.ask(ctx, name, qtype)
		if err != nil {
			h.log.Debug("forward a query", "name", name, "error", err)
			resp.Rcode = dns.RcodeServerFailure
			return
		}
		chain, ours := v.homeward(name, qtype, got.answer)
		resp.Answer = append(resp.Answer[:len(resp.Answer):len(resp.Answer)], chain...)
		if ours == "" {
			resp.Ns, resp.Rcode = got.ns, got.rcode
			return
		}
		out := v.resolve(ours, qtype)
		resp.Answer, resp.Ns, resp.Rcode = append(resp.Answer, out.answer...), out.ns, out.rcode
		if name = out.forward; name == "" {
			return
		}
	}
	resp.Rcode = dns.RcodeServerFailure
}

// homeward follows the CNAMEs of an answer, to the first name that is answered here; "" if there
// is none, then the records are all of the answer.
func (v *view) homeward(name string, qtype uint16, answer []dns.RR) (chain []dns.RR, ours string) {
	if qtype == dns.TypeCNAME {
		return answer, ""
	}
	for range answer {
		next := ""
		for _, rr := range answer {
			if c, ok := rr.(*dns.CNAME); ok && dns.CanonicalName(c.Hdr.Name) == name {
				chain, next = append(chain, rr), dns.CanonicalName(c.Target)
				break
			}
		}
		if next == "" {
			break
		}
		if v.zoneOf(next, qtype) != nil {
			return chain, next
		}
		name = next
	}
	return answer, ""
}

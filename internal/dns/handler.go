package dns

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"github.com/miekg/dns"
)

type addr = netip.Addr

// handler answers the queries that come in at one network's resolver, or at the public server.
type handler struct {
	view      atomic.Pointer[view]
	forwarder *forwarder // nil for the public server
	log       *slog.Logger
}

// ServeDNS implements dns.Handler.
func (h *handler) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	resp := h.answer(req)
	if opt := req.IsEdns0(); opt != nil {
		resp.SetEdns0(ednsSize, false)
	}
	if _, udp := w.LocalAddr().(interface{ AddrPort() netip.AddrPort }); udp && w.LocalAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if opt := req.IsEdns0(); opt != nil {
			size = max(size, min(int(opt.UDPSize()), ednsSize))
		}
		resp.Truncate(size)
	}
	if err := w.WriteMsg(resp); err != nil {
		h.log.Debug("answer a query", "error", err)
	}
}

// ednsSize is what fits into a packet on any link (https://dnsflagday.net/2020/).
const ednsSize = 1232

func (h *handler) answer(req *dns.Msg) *dns.Msg {
	resp := new(dns.Msg)
	if req.Opcode != dns.OpcodeQuery || len(req.Question) != 1 || req.Response {
		return resp.SetRcode(req, dns.RcodeNotImplemented)
	}
	q := req.Question[0]
	resp.SetReply(req)
	resp.RecursionAvailable = h.forwarder != nil
	switch {
	case q.Qclass != dns.ClassINET, q.Qtype == dns.TypeANY, q.Qtype == dns.TypeAXFR, q.Qtype == dns.TypeIXFR:
		resp.Rcode = dns.RcodeRefused
		return resp
	}
	v := h.view.Load()
	if v == nil {
		resp.Rcode = dns.RcodeServerFailure
		return resp
	}
	out := v.resolve(dns.CanonicalName(q.Name), q.Qtype)
	resp.Answer, resp.Ns, resp.Rcode, resp.Authoritative = out.answer, out.ns, out.rcode, out.own && out.forward == ""
	if len(resp.Answer) > 0 && resp.Answer[0].Header().Name != q.Name && dns.CanonicalName(q.Name) == resp.Answer[0].Header().Name {
		// The name comes back as it was asked: some clients compare letters.
		first := dns.Copy(resp.Answer[0])
		first.Header().Name = q.Name
		resp.Answer = append([]dns.RR{first}, resp.Answer[1:]...)
	}
	if out.forward == "" {
		return resp
	}
	if h.forwarder == nil {
		resp.Rcode = dns.RcodeRefused // no resolver for strangers
		return resp
	}
	ctx, cancel := context.WithTimeout(context.Background(), forwardTimeout)
	defer cancel()
	got, err := h.forwarder.ask(ctx, out.forward, q.Qtype)
	if err != nil {
		h.log.Debug("forward a query", "name", out.forward, "error", err)
		resp.Rcode = dns.RcodeServerFailure
		return resp
	}
	resp.Answer = append(resp.Answer, got.Answer...)
	resp.Ns, resp.Rcode = got.Ns, got.Rcode
	return resp
}

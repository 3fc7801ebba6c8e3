package netplan

import (
	"fmt"
	"strings"
)

// passage is what the provider's namespace lets through from endpoints to services. The network's namespace follows
// these connections for its translation; the provider's does not a second time: it knows both addresses and
// the port of each, and that a service only answers.
type passage struct {
	flows, requests, answers, pairs []string
}

func (p *passage) add(end, service string, e Endpoint) {
	p.flows = append(p.flows, fmt.Sprintf("%s . %s . %d", e.NetworkSide, e.ServiceSide, e.Port))
	p.requests = append(p.requests, fmt.Sprintf(`"%s" . "%s" . %s . %s . %d`, end, service, e.NetworkSide, e.ServiceSide, e.Port))
	p.pairs = append(p.pairs, fmt.Sprintf(`"%s" . "%s"`, end, service))
	p.answers = append(p.answers, fmt.Sprintf(`"%s" . "%s" . %s . %s . %d`, service, end, e.ServiceSide, e.NetworkSide, e.Port))
}

// filter is the provider's table. Everything that no rule names is dropped; others are rules for what is not a connection
// to an endpoint.
func (p *passage) filter(others []string) string {
	t := &table{}
	var raw, forward []string
	if len(p.flows) > 0 {
		path := "ifname . ifname . ipv4_addr . ipv4_addr . inet_service"
		t.line("set flows { type ipv4_addr . ipv4_addr . inet_service; elements = { %s } }", strings.Join(p.flows, ", "))
		t.line("set requests { type %s; elements = { %s } }", path, strings.Join(p.requests, ", "))
		t.line("set answers { type %s; elements = { %s } }", path, strings.Join(p.answers, ", "))
		t.line("set pairs { type ifname . ifname; elements = { %s } }", strings.Join(p.pairs, ", "))
		raw = []string{"ip saddr . ip daddr . tcp dport @flows notrack accept", "ip daddr . ip saddr . tcp sport @flows notrack accept"}
		forward = []string{
			"iifname . oifname . ip saddr . ip daddr . tcp dport @requests accept",
			"tcp flags & (syn | ack) != syn iifname . oifname . ip saddr . ip daddr . tcp sport @answers accept",
			"icmp type { destination-unreachable, time-exceeded, parameter-problem } iifname . oifname @pairs accept", // the network lets related ones through only
		}
	}
	t.chain("untracked", "type filter hook prerouting priority -300; policy accept;", raw...)
	t.chain("input", "type filter hook input priority 0; policy drop;", `iifname "lo" accept`)
	t.chain("forward", "type filter hook forward priority 0; policy drop;", append(forward, others...)...)
	return t.String()
}

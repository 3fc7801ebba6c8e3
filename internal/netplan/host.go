package netplan

import (
	"fmt"
	"net/netip"
	"strings"
)

// Tables of the provider's namespace that lead a service back to its network
// begin here; each link has one of its own.
const firstTable = 1000

// ForHost plans the host's end, the edge and the provider, and the interfaces
// of the services' sandboxes.
func ForHost(h Host) []Namespace {
	own := lastAddress(h.Pool)
	hostLink := Link{Name: HostLink, MAC: mac("host"), MTU: h.MTU, PeerNS: EdgeNS, PeerName: "host", PeerMAC: mac("edge"), Addresses: []netip.Prefix{host(own)}, Neighbors: []netip.Addr{h.Edge, h.ARM, h.DNS}}
	edge := Namespace{Name: EdgeNS, Forward: true, Addresses: []netip.Prefix{host(h.Edge), host(h.ARM), host(h.DNS)}}
	toHost := hostLink.other(HostNS)
	toHost.Neighbors = []netip.Addr{own}
	edge.Links = append(edge.Links, toHost)
	edge.Routes = append(edge.Routes, Route{To: everywhere, Via: own, Device: "host"}, Route{To: host(own), Device: "host"}, Route{To: h.Pool.Masked()})
	provider := Namespace{Name: ProviderNS, Forward: true}
	// The second route of the host holds if its link is ever gone: the pool's addresses never leave by the uplink.
	forwarding := []string{HostLink}
	for _, u := range h.Uplinks {
		forwarding = append(forwarding, u.Name)
	}
	out := []Namespace{{Name: HostNS, Forwarding: forwarding, Links: []Link{hostLink}, Routes: []Route{{To: h.Pool.Masked(), Via: h.Edge, Device: HostLink, Source: own}, {To: h.Pool.Masked()}}, Filter: hostFilter(h)}}
	ends := map[string][]Endpoint{}
	for _, n := range h.Networks {
		up := Link{Name: uplink, MAC: mac(n.ID, "up"), MTU: n.MTU, PeerName: edgeLink(n.ID), PeerMAC: mac(n.ID, "edge"), PeerNS: EdgeNS}
		link := up.other(NetworkNS(n.ID))
		for _, a := range n.publicAddresses() {
			link.Neighbors = append(link.Neighbors, a)
			edge.Routes = append(edge.Routes, Route{To: host(a), Device: link.Name})
		}
		edge.Links = append(edge.Links, link)
		for _, e := range n.Ends {
			l := endNetworkLink(n, e).other(NetworkNS(n.ID))
			l.Neighbors = []netip.Addr{e.NetworkSide}
			provider.Links = append(provider.Links, l)
			provider.Routes = append(provider.Routes, Route{To: host(e.NetworkSide), Device: l.Name})
			ends[e.Service] = append(ends[e.Service], e)
		}
	}
	t := &table{}
	forward := []string{"ct state established,related accept"}
	number := firstTable
	for _, s := range h.Services {
		name := serviceLink(s.Name)
		eth := Link{Name: "eth0", MAC: mac(s.Name, "service"), MTU: h.MTU, PeerNS: ProviderNS, PeerName: name, PeerMAC: mac(s.Name, "provider"), Neighbors: []netip.Addr{gateway}}
		l := eth.other(s.Sandbox)
		space := Namespace{Name: s.Sandbox}
		var source netip.Addr
		for _, e := range ends[s.Name] {
			eth.Addresses = append(eth.Addresses, host(e.ServiceSide))
			l.Neighbors = append(l.Neighbors, e.ServiceSide)
			provider.Routes = append(provider.Routes, Route{To: host(e.ServiceSide), Device: name})
			if !e.Approved {
				continue
			}
			forward = append(forward, fmt.Sprintf(`iifname "%s" oifname "%s" ip saddr %s ip daddr %s tcp dport %d accept`, endLink(e.Name), name, e.NetworkSide, e.ServiceSide, e.Port))
			if e.Return {
				source = e.ServiceSide
				// Its own addresses are found in the main table first; everything else
				// that it sends goes to the network of this endpoint, and nowhere else.
				provider.Rules = append(provider.Rules, SourceRule{From: e.ServiceSide, Device: name, Table: number})
				provider.Routes = append(provider.Routes, Route{To: everywhere, Via: e.NetworkSide, Device: endLink(e.Name), Table: number})
				forward = append(forward, fmt.Sprintf(`iifname "%s" oifname "%s" ip saddr %s ip daddr != %s accept`, name, endLink(e.Name), e.ServiceSide, linkSpace))
				number++
			}
		}
		space.Links = []Link{eth}
		space.Routes = []Route{{To: everywhere, Via: gateway, Device: "eth0", Source: source}}
		provider.Links = append(provider.Links, l)
		out = append(out, space)
	}
	t.chain("input", "type filter hook input priority 0; policy drop;", `iifname "lo" accept`)
	t.chain("forward", "type filter hook forward priority 0; policy drop;", forward...)
	provider.Filter = t.String()
	edge.Filter = edgeFilter(h)
	edge.sort()
	provider.sort()
	return append(out, edge, provider)
}

func (n Network) publicAddresses() []netip.Addr {
	var out []netip.Addr
	seen := map[netip.Addr]bool{}
	add := func(a netip.Addr) {
		if a.IsValid() && !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	add(n.Outbound)
	for _, nic := range n.NICs {
		add(nic.Outbound)
		add(nic.Public)
	}
	return out
}

// hostFilter is what Cloister adds to the host's own namespace: the pool leaves
// under the host's address, and nothing private leaves at all. No policy of others is changed.
func hostFilter(h Host) string {
	t := &table{}
	t.line("set private { type ipv4_addr; flags interval; auto-merge; elements = { %s } }", list(Private))
	var drop []string
	for _, u := range h.Uplinks {
		// The link forwards now because Cloister needs it: for others it must go on as if it did not.
		// What a bridge passes between its own ports is not forwarded by the host, and comes here only
		// where the kernel filters bridges (br_netfilter).
		to := fmt.Sprintf(`"%s"`, HostLink)
		if u.Bridge {
			to = fmt.Sprintf(`{ "%s", "%s" }`, HostLink, u.Name)
		}
		drop = append(drop, fmt.Sprintf(`iifname "%s" oifname != %s drop`, u.Name, to))
	}
	drop = append(drop, fmt.Sprintf(`iifname "%s" ip saddr != %s drop`, HostLink, h.Pool.Masked()))
	for _, p := range h.LAN {
		drop = append(drop, fmt.Sprintf(`iifname "%s" ip daddr %s accept`, HostLink, p.Masked()))
	}
	drop = append(drop, fmt.Sprintf(`iifname "%s" ip daddr @private counter drop`, HostLink), fmt.Sprintf(`oifname "%s" ct state established,related accept`, HostLink), fmt.Sprintf(`oifname "%s" drop`, HostLink))
	t.chain("forward", "type filter hook forward priority -5; policy accept;", drop...)
	t.chain("output", "type filter hook output priority -5; policy accept;", fmt.Sprintf(`oifname "%s" ip daddr != %s drop`, HostLink, h.Pool.Masked()))
	// The host's own services are not for guests.
	t.chain("input", "type filter hook input priority -5; policy accept;", fmt.Sprintf(`iifname "%s" ct state established,related accept`, HostLink), fmt.Sprintf(`iifname "%s" drop`, HostLink))
	t.chain("source", "type nat hook postrouting priority 100;", fmt.Sprintf(`ip saddr %s oifname != "%s" masquerade`, h.Pool.Masked(), HostLink))
	return t.String()
}

func edgeFilter(h Host) string {
	t := &table{}
	t.line("set private { type ipv4_addr; flags interval; auto-merge; elements = { %s } }", list(Private))
	var links []string
	for _, n := range h.Networks {
		links = append(links, `"`+edgeLink(n.ID)+`"`)
	}
	forward := []string{"ct state established,related accept"}
	for _, p := range h.LAN {
		forward = append(forward, fmt.Sprintf(`oifname "host" ip saddr %s ip daddr %s accept`, h.Pool.Masked(), p.Masked()))
	}
	forward = append(forward, "ip daddr @private counter drop", "ip saddr @private counter drop")
	if len(links) > 0 {
		forward = append(forward, fmt.Sprintf(`iifname { %s } oifname "host" ip saddr %s accept`, strings.Join(links, ", "), h.Pool.Masked()))
	}
	t.chain("input", "type filter hook input priority 0; policy drop;", "ct state established,related accept", `iifname "lo" accept`,
		fmt.Sprintf("ip daddr %s tcp dport 443 accept", h.ARM), fmt.Sprintf(`ip daddr %s meta l4proto { tcp, udp } th dport 53 accept`, h.DNS), "icmp type echo-request limit rate 100/second accept")
	t.chain("forward", "type filter hook forward priority 0; policy drop;", forward...)
	return t.String()
}

// lastAddress is a prefix's last address but the broadcast address.
func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b).Prev()
}

package netplan

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// ForNetwork plans a virtual network's namespace and the interfaces of its NICs' sandboxes.
func ForNetwork(n Network) []Namespace {
	ns := Namespace{Name: NetworkNS(n.ID), Forward: true}
	ns.Addresses = append(ns.Addresses, host(PlatformDNS))
	for _, s := range n.Subnets {
		ns.Addresses = append(ns.Addresses, host(Gateway(s.Prefix)))
	}
	for _, p := range n.Prefixes {
		ns.Routes = append(ns.Routes, Route{To: p.Masked()}) // unreachable: nothing of the space leaves
	}
	ns.Links = append(ns.Links, Link{Name: uplink, MAC: mac(n.ID, "up"), MTU: n.MTU, PeerNS: EdgeNS, PeerName: edgeLink(n.ID), PeerMAC: mac(n.ID, "edge"), Neighbors: []netip.Addr{gateway}})
	ns.Routes = append(ns.Routes, Route{To: everywhere, Via: gateway, Device: uplink})
	spaces := []Namespace{}
	for _, nic := range n.NICs {
		subnet := n.subnet(nic.Subnet)
		guest := Link{Name: nic.Interface, MAC: nic.MAC, MTU: n.MTU, PeerNS: ns.Name, PeerName: nicLink(nic.Name), PeerMAC: mac(nic.Name, "gateway"), Addresses: []netip.Prefix{host(nic.Address)}, Neighbors: []netip.Addr{Gateway(subnet.Prefix)}}
		spaces = append(spaces, Namespace{Name: nic.Sandbox, Links: []Link{guest}, Routes: []Route{{To: everywhere, Via: Gateway(subnet.Prefix), Device: nic.Interface, Source: nic.Address}}})
		link := guest.other(nic.Sandbox)
		link.Neighbors = []netip.Addr{nic.Address}
		ns.Links = append(ns.Links, link)
		ns.Routes = append(ns.Routes, Route{To: host(nic.Address), Device: link.Name})
		for _, a := range nic.Secondary {
			// Pods are behind the node's own address: nobody answers for them on the link.
			ns.Routes = append(ns.Routes, Route{To: host(a), Via: nic.Address, Device: link.Name})
		}
	}
	for _, e := range n.Ends {
		link := endNetworkLink(n, e)
		ns.Links = append(ns.Links, link)
		ns.Routes = append(ns.Routes, Route{To: host(e.ServiceSide), Device: link.Name})
		ns.Addresses = append(ns.Addresses, host(e.Address)) // so that it answers for itself, and only what is translated passes
	}
	ns.Filter = networkFilter(n)
	ns.sort()
	return append([]Namespace{ns}, spaces...)
}

func endNetworkLink(n Network, e Endpoint) Link {
	return Link{Name: endLink(e.Name), MAC: mac(e.Name, "network"), MTU: n.MTU, PeerNS: ProviderNS, PeerName: endLink(e.Name), PeerMAC: mac(e.Name, "provider"),
		Addresses: []netip.Prefix{host(e.NetworkSide)}, Neighbors: []netip.Addr{e.ServiceSide}}
}

// other is the other end of the link, which stands in the namespace peer.
func (l Link) other(ns string) Link {
	return Link{Name: l.PeerName, MAC: l.PeerMAC, MTU: l.MTU, PeerNS: ns, PeerName: l.Name, PeerMAC: l.MAC}
}

func (n Network) subnet(id string) Subnet {
	for _, s := range n.Subnets {
		if strings.EqualFold(s.ID, id) {
			return s
		}
	}
	return Subnet{}
}

// Gateway is a subnet's first address, which the platform has.
func Gateway(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }

var everywhere = netip.MustParsePrefix("0.0.0.0/0")

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func (ns *Namespace) sort() {
	slices.SortFunc(ns.Links, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(ns.Routes, func(a, b Route) int {
		if c := a.Table - b.Table; c != 0 {
			return c
		}
		return strings.Compare(a.To.String(), b.To.String())
	})
	slices.SortFunc(ns.Addresses, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	ns.Addresses = slices.Compact(ns.Addresses)
}

// networkFilter is the packet filter of a network's namespace. Everything that
// no rule names is dropped.
func networkFilter(n Network) string {
	t := &table{}
	t.line("set vnet { type ipv4_addr; flags interval; auto-merge; elements = { %s } }", list(n.Prefixes))
	t.line("set private { type ipv4_addr; flags interval; auto-merge; elements = { %s } }", list(Private))
	var nics, guards, in, back []string
	groups := map[string]bool{}
	for _, nic := range n.NICs {
		link := nicLink(nic.Name)
		nics = append(nics, `"`+link+`"`)
		subnet := strings.ToLower(n.subnet(nic.Subnet).Group)
		own := strings.ToLower(nic.SecurityGroup)
		for _, g := range []string{own, subnet} {
			if _, known := n.Groups[g]; known {
				groups[g] = true
			}
		}
		t.chain("out_"+link, "", jumps(n, false, own, subnet)...)
		t.chain("in_"+link, "", append(jumps(n, true, subnet, own), "accept")...)
		guards = append(guards, fmt.Sprintf(`"%s" : jump out_%s`, link, link))
		in = append(in, fmt.Sprintf(`"%s" : jump in_%s`, link, link))
	}
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		t.chain(groupChain(g, false), "", groupRules(n.Groups[g], false)...)
		t.chain(groupChain(g, true), "", groupRules(n.Groups[g], true)...)
	}
	// Outbound rules see what the customer sees: before any translation.
	outbound := []string{"ct state established,related accept", "ip daddr " + PlatformDNS.String() + " accept"}
	if len(guards) > 0 {
		outbound = append(outbound, "iifname vmap { "+strings.Join(guards, ", ")+" }")
	}
	t.chain("outbound", "type filter hook prerouting priority -150; policy accept;", outbound...)
	var to, from, forward []string
	input := []string{"ct state established,related accept", `iifname "lo" accept`}
	if len(nics) > 0 {
		set := "{ " + strings.Join(nics, ", ") + " }"
		input = append(input, "iifname "+set+" ip daddr "+PlatformDNS.String()+" meta l4proto { tcp, udp } th dport 53 accept",
			"iifname "+set+" icmp type echo-request limit rate 100/second accept")
	}
	forward = append(forward, "ct state established,related accept")
	for _, e := range n.Ends {
		link := endLink(e.Name)
		if !e.Approved {
			continue
		}
		to = append(to, fmt.Sprintf(`ip daddr %s tcp dport %d dnat to %s`, e.Address, e.Port, e.ServiceSide))
		from = append(from, fmt.Sprintf(`oifname "%s" ct status dnat snat to %s`, link, e.NetworkSide))
		if len(nics) > 0 {
			forward = append(forward, fmt.Sprintf(`iifname { %s } oifname "%s" ct status dnat ip daddr %s tcp dport %d accept`, strings.Join(nics, ", "), link, e.ServiceSide, e.Port))
		}
		if e.Return {
			back = append(back, fmt.Sprintf(`iifname "%s" ip saddr %s ip daddr @vnet`, link, e.ServiceSide))
			from = append(from, fmt.Sprintf(`ip saddr %s ip daddr @vnet snat to %s`, e.ServiceSide, e.Address))
			input = append(input, fmt.Sprintf(`iifname "%s" ip saddr %s ip daddr %s meta l4proto { tcp, udp } th dport 53 accept`, link, e.ServiceSide, PlatformDNS))
		}
	}
	if len(nics) > 0 {
		set := "{ " + strings.Join(nics, ", ") + " }"
		for _, b := range back {
			forward = append(forward, b+" oifname "+set+" accept")
		}
		forward = append(forward, fmt.Sprintf(`iifname %s oifname "%s" ip daddr @private drop`, set, uplink), fmt.Sprintf(`iifname %s oifname "%s" ip daddr @vnet drop`, set, uplink))
		for _, nic := range n.NICs {
			if out := n.outbound(nic.Public, nic.Outbound); out.IsValid() {
				own := list(append([]netip.Prefix{host(nic.Address)}, hosts(nic.Secondary)...))
				from = append(from, fmt.Sprintf(`oifname "%s" ip saddr { %s } snat to %s`, uplink, own, out))
				forward = append(forward, fmt.Sprintf(`iifname "%s" oifname "%s" accept`, nicLink(nic.Name), uplink))
			}
		}
		forward = append(forward, "iifname "+set+" oifname vmap { "+strings.Join(in, ", ")+" }")
	}
	t.chain("translate", "type nat hook prerouting priority -100;", to...)
	t.chain("source", "type nat hook postrouting priority 100;", from...)
	t.chain("input", "type filter hook input priority 0; policy drop;", input...)
	t.chain("forward", "type filter hook forward priority 0; policy drop;", forward...)
	return t.String()
}

func (n Network) outbound(choices ...netip.Addr) netip.Addr {
	for _, a := range append(choices, n.Outbound) {
		if a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// jumps leads through the groups that there are, in order.
func jumps(n Network, inbound bool, ids ...string) []string {
	var out []string
	for _, id := range ids {
		if _, ok := n.Groups[id]; ok {
			out = append(out, "jump "+groupChain(id, inbound))
		}
	}
	return out
}

func hosts(as []netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range as {
		out = append(out, host(a))
	}
	return out
}

func list(ps []netip.Prefix) string {
	var out []string
	for _, p := range ps {
		if p.IsSingleIP() {
			out = append(out, p.Addr().String())
		} else {
			out = append(out, p.Masked().String())
		}
	}
	return strings.Join(out, ", ")
}

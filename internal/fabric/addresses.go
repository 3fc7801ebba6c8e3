package fabric

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/netplan"
)

// protocol marks our routes, so that nobody else's are touched (rtnetlink's rtm_protocol; 67 is not assigned).
const protocol = 67

// rulePriority is where our source rules stand: after the local table, before nothing of ours.
const rulePriority = 40_000

// applyAddresses sets addresses, neighbours, routes and rules of a namespace, and brings its links up.
func (f *Fabric) applyAddresses(plan netplan.Namespace) error {
	h, ns, err := f.handle(plan.Name)
	if err != nil {
		return err
	}
	defer h.Close()
	defer func() { _ = ns.Close() }()
	if plan.Forward {
		if err := inNamespace(f.Path(plan.Name), func() error { return setSysctl("ipv4/ip_forward", "1") }); err != nil {
			return err
		}
	}
	if err := addressesOf(h, "lo", plan.Addresses, ours(plan.Name)); err != nil {
		return err
	}
	for _, l := range plan.Links {
		if err := applyLink(h, l); err != nil {
			return fmt.Errorf("link %s: %w", l.Name, err)
		}
	}
	if err := applyRoutes(h, plan); err != nil {
		return err
	}
	switch plan.Name {
	case netplan.ProviderNS:
		return applyRules(h, plan.Rules)
	case netplan.HostNS:
		return f.forwardOnHost(plan.Forwarding)
	}
	return nil
}

func applyLink(h *netlink.Handle, l netplan.Link) error {
	link, err := h.LinkByName(l.Name)
	if err != nil {
		return err
	}
	if l.MTU > 0 && link.Attrs().MTU != l.MTU {
		if err := h.LinkSetMTU(link, l.MTU); err != nil {
			return err
		}
	}
	if err := addressesOf(h, l.Name, l.Addresses, true); err != nil {
		return err
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := h.LinkSetUp(link); err != nil {
			return err
		}
	}
	mac, err := net.ParseMAC(l.PeerMAC)
	if err != nil {
		return err
	}
	want := map[string]bool{}
	for _, a := range l.Neighbors {
		want[a.String()] = true
		n := &netlink.Neigh{LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V4, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: mac}
		if err := h.NeighSet(n); err != nil {
			return fmt.Errorf("neighbour %s: %w", a, err)
		}
	}
	there, err := h.NeighList(link.Attrs().Index, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, n := range there {
		if n.State&netlink.NUD_PERMANENT != 0 && !want[n.IP.String()] {
			if err := h.NeighDel(&n); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("remove neighbour %s: %w", n.IP, err)
			}
		}
	}
	return nil
}

// addressesOf gives an interface the addresses; with all it has no others.
func addressesOf(h *netlink.Handle, name string, want []netip.Prefix, all bool) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	there, err := h.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	wanted := map[string]bool{}
	for _, p := range want {
		wanted[p.String()] = true
	}
	for _, a := range there {
		have[a.IPNet.String()] = true
		if all && !wanted[a.IPNet.String()] && !a.IP.IsLoopback() {
			if err := h.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return fmt.Errorf("remove address %s: %w", a.IPNet, err)
			}
		}
	}
	for _, p := range want {
		if have[p.String()] {
			continue
		}
		a := &netlink.Addr{IPNet: ipNet(p), Scope: int(netlink.SCOPE_UNIVERSE)}
		if err := h.AddrAdd(link, a); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add address %s: %w", p, err)
		}
	}
	return nil
}

func applyRoutes(h *netlink.Handle, plan netplan.Namespace) error {
	want := map[string]bool{}
	for _, r := range plan.Routes {
		route, err := routeOf(h, r)
		if err != nil {
			return fmt.Errorf("route %s: %w", r.To, err)
		}
		want[routeKey(route)] = true
		if err := h.RouteReplace(route); err != nil {
			return fmt.Errorf("route %s via %s dev %s: %w", r.To, r.Via, r.Device, err)
		}
	}
	there, err := h.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: protocol, Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range there {
		if !want[routeKey(&r)] {
			if err := h.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("remove route %s: %w", r.Dst, err)
			}
		}
	}
	return nil
}

func routeOf(h *netlink.Handle, r netplan.Route) (*netlink.Route, error) {
	out := &netlink.Route{Dst: ipNet(r.To), Protocol: protocol, Table: r.Table, Family: netlink.FAMILY_V4}
	if out.Table == 0 {
		out.Table = unix.RT_TABLE_MAIN
	}
	if r.Source.IsValid() {
		out.Src = r.Source.AsSlice()
	}
	if r.Device == "" {
		out.Type = unix.RTN_UNREACHABLE
		out.Priority = 4096 // behind anything more special of the same length
		return out, nil
	}
	link, err := h.LinkByName(r.Device)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", r.Device, err)
	}
	out.LinkIndex = link.Attrs().Index
	if r.Via.IsValid() {
		out.Gw, out.Flags = r.Via.AsSlice(), int(netlink.FLAG_ONLINK)
	} else {
		out.Scope = netlink.SCOPE_LINK
	}
	return out, nil
}

func routeKey(r *netlink.Route) string {
	dst := "0.0.0.0/0"
	if r.Dst != nil {
		dst = r.Dst.String()
	}
	return fmt.Sprint(dst, " ", r.Table, " ", r.LinkIndex, " ", r.Priority)
}

func applyRules(h *netlink.Handle, rules []netplan.SourceRule) error {
	want := map[string]netplan.SourceRule{}
	for _, r := range rules {
		want[fmt.Sprint(r.From, " ", r.Device, " ", r.Table)] = r
	}
	there, err := h.RuleList(netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list rules: %w", err)
	}
	for _, r := range there {
		if r.Priority != rulePriority {
			continue
		}
		from, _, _ := strings.Cut(r.Src.String(), "/")
		key := fmt.Sprint(from, " ", r.IifName, " ", r.Table)
		if _, ok := want[key]; ok {
			delete(want, key)
			continue
		}
		if err := h.RuleDel(&r); err != nil {
			return fmt.Errorf("remove rule %s: %w", key, err)
		}
	}
	for key, r := range want {
		rule := netlink.NewRule()
		rule.Priority, rule.Family, rule.Table, rule.IifName, rule.Src = rulePriority, netlink.FAMILY_V4, r.Table, r.Device, ipNet(netip.PrefixFrom(r.From, 32))
		if err := h.RuleAdd(rule); err != nil {
			return fmt.Errorf("add rule %s: %w", key, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

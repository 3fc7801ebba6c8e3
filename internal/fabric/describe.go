package fabric

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/netplan"
)

// Change is one thing of the host's own namespace that Apply would make or set.
type Change struct {
	Kind string // link, address, route, setting, table
	Text string
}

// Describe lists what Apply would change in the host's own namespace. It changes nothing.
func (f *Fabric) Describe(ctx context.Context, plan netplan.Namespace) ([]Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ns, err := f.handle(plan.Name)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	defer func() { _ = ns.Close() }()
	var out []Change
	add := func(kind, format string, args ...any) { out = append(out, Change{kind, fmt.Sprintf(format, args...)}) }
	have := map[string]bool{}
	addresses, err := h.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addresses {
		have[a.IPNet.String()] = true
	}
	for _, l := range plan.Links {
		if _, err := h.LinkByName(l.Name); err != nil {
			add("link", "%s (veth, MTU %d, forwards packets, no IPv6; its other end is %s in the namespace %s)", l.Name, l.MTU, l.PeerName, f.Path(l.PeerNS))
		}
		for _, p := range l.Addresses {
			if !have[p.String()] {
				add("address", "%s on %s", p, l.Name)
			}
		}
	}
	routes, err := h.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: protocol, Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	there := map[string]bool{}
	for _, r := range routes {
		there[fmt.Sprint(r.Dst, " ", r.Type == unix.RTN_UNREACHABLE)] = true
	}
	for _, r := range plan.Routes {
		switch {
		case there[fmt.Sprint(ipNet(r.To), " ", r.Device == "")]:
		case r.Device == "":
			add("route", "unreachable %s, behind the other one: these addresses never leave by the uplink", r.To)
		default:
			add("route", "%s via %s dev %s", r.To, r.Via, r.Device)
		}
	}
	err = inNamespace(f.host, func() error {
		for _, name := range plan.Forwarding {
			if on, err := forwards(name); err != nil {
				return err
			} else if !on {
				add("setting", "%s: 0 -> 1", strings.ReplaceAll("net/"+forwardingOf(name), "/", "."))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if listed, err := f.list(ctx, plan.Name); err != nil || listed == "" {
		add("table", "%s", strings.TrimSpace(plan.Filter))
	}
	return out, nil
}

package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/netplan"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/provider/network/virtualnetworks"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// linkPool names the addresses of links in the store.
const linkPool = "links"

// snapshot is everything that plans are made of, read from the store.
type snapshot struct {
	networks []netplan.Network
	services []spec.Service
	// sandboxes that something in the store needs.
	sandboxes map[string]bool
}

// collect reads the store. Endpoints that have no link yet get one.
func collect(ctx context.Context, s store.Store) (*snapshot, error) {
	out := &snapshot{sandboxes: map[string]bool{}}
	read := &arm.Resources{Store: s}
	resources, err := read.Below(ctx, "/", "")
	if err != nil {
		return nil, err
	}
	nics, err := all[spec.NIC](ctx, s, spec.NICPrefix)
	if err != nil {
		return nil, err
	}
	ends, err := all[spec.Endpoint](ctx, s, spec.EndpointPrefix)
	if err != nil {
		return nil, err
	}
	services, err := all[spec.Service](ctx, s, spec.ServicePrefix)
	if err != nil {
		return nil, err
	}
	byName := map[string]spec.Service{}
	for _, svc := range services {
		byName[svc.Name] = svc
		out.services = append(out.services, svc)
		out.sandboxes[svc.Sandbox] = true
	}
	slices.SortFunc(out.services, func(a, b spec.Service) int { return strings.Compare(a.Name, b.Name) })
	links, err := linksOf(ctx, s, ends)
	if err != nil {
		return nil, err
	}
	networks, groups := map[string]*netplan.Network{}, map[string]netplan.Group{}
	for _, r := range resources {
		switch id := r.ParsedID(); {
		case strings.EqualFold(r.Type, kit.NetworkType):
			networks[id.Key()] = &netplan.Network{ID: id.Key(), Prefixes: prefixes(kit.Props(r).Doc("addressSpace")["addressPrefixes"]), Outbound: virtualnetworks.Outbound(r), Groups: groups}
		case strings.EqualFold(r.Type, kit.RuleType):
			g := groups[id.Parent().Key()]
			g.Rules = append(g.Rules, ruleOf(r))
			groups[id.Parent().Key()] = g
		case strings.EqualFold(r.Type, kit.GroupType):
			groups[id.Key()] = netplan.Group{Rules: groups[id.Key()].Rules}
		}
	}
	for _, r := range resources {
		id := r.ParsedID()
		if n := networks[id.Parent().Key()]; n != nil && strings.EqualFold(r.Type, kit.SubnetType) {
			if p, err := netip.ParsePrefix(kit.Props(r).Str("addressPrefix")); err == nil {
				n.Subnets = append(n.Subnets, netplan.Subnet{ID: id.Key(), Prefix: p, Group: strings.ToLower(kit.Props(r).Doc("networkSecurityGroup").Str("id"))})
			}
		}
	}
	for _, nic := range nics {
		out.sandboxes[nic.Sandbox] = true
		if n := networks[nic.Network]; n != nil && slices.ContainsFunc(n.Subnets, func(s netplan.Subnet) bool { return s.ID == nic.Subnet }) {
			n.NICs = append(n.NICs, nic)
		}
	}
	for key, e := range ends {
		n, svc, link := networks[e.Network], byName[e.Service], links[key]
		// An endpoint whose service is not there (yet) has nothing to lead to.
		if n != nil && svc.Name != "" && len(link) == 2 {
			n.Ends = append(n.Ends, netplan.Endpoint{Endpoint: e, Port: svc.Port, NetworkSide: link[0], ServiceSide: link[1]})
		}
	}
	for _, n := range networks {
		slices.SortFunc(n.Subnets, func(a, b netplan.Subnet) int { return strings.Compare(a.ID, b.ID) })
		slices.SortFunc(n.NICs, func(a, b spec.NIC) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(n.Ends, func(a, b netplan.Endpoint) int { return strings.Compare(a.Name, b.Name) })
		out.networks = append(out.networks, *n)
	}
	slices.SortFunc(out.networks, func(a, b netplan.Network) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// linksOf takes the pair of addresses of every endpoint, and frees those of endpoints that are gone.
func linksOf(ctx context.Context, s store.Store, ends map[string]spec.Endpoint) (map[string][]netip.Addr, error) {
	for {
		pool, err := ipam.Load(ctx, s, linkPool, netplan.LinkPrefix, 0)
		if err != nil {
			return nil, err
		}
		changed := false
		for _, owner := range pool.Used {
			if _, ok := ends[owner]; !ok {
				pool.Release(owner)
				changed = true
			}
		}
		out := map[string][]netip.Addr{}
		for key := range ends {
			pair := pool.Of(key)
			if len(pair) == 0 {
				if pair, err = pool.Take(key, 2); err != nil {
					return nil, fmt.Errorf("link of %s: %w", key, err)
				}
				changed = true
			}
			slices.SortFunc(pair, netip.Addr.Compare)
			out[key] = pair
		}
		if !changed {
			return out, nil
		}
		tx := new(store.Tx)
		pool.Save(tx)
		if _, err := s.Commit(ctx, tx); !errors.Is(err, store.ErrConflict) {
			return out, err
		}
	}
}

func prefixes(v any) []netip.Prefix {
	var out []netip.Prefix
	list, _ := v.([]any)
	for _, x := range list {
		text, _ := x.(string)
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

// ruleOf reads a security rule; a list and its single form mean the same.
func ruleOf(r *arm.Resource) netplan.Rule {
	p := kit.Props(r)
	words := func(one, many string) []string {
		var out []string
		if s := p.Str(one); s != "" {
			out = append(out, s)
		}
		list, _ := p[many].([]any)
		for _, x := range list {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	priority, _ := p["priority"].(float64)
	return netplan.Rule{
		Name: r.Name, Priority: int(priority), Inbound: strings.EqualFold(p.Str("direction"), "Inbound"), Allow: strings.EqualFold(p.Str("access"), "Allow"), Protocol: p.Str("protocol"),
		Sources: words("sourceAddressPrefix", "sourceAddressPrefixes"), Targets: words("destinationAddressPrefix", "destinationAddressPrefixes"),
		SourcePorts: words("sourcePortRange", "sourcePortRanges"), ToPorts: words("destinationPortRange", "destinationPortRanges"),
	}
}

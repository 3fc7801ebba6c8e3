package loadbalancers

import (
	"context"
	"net/netip"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

// view gives every part its id, and leads from frontends and pools back to the rules that name them.
func (t typ) view(_ context.Context, r *arm.Resource, doc map[string]any) error {
	show(r, kit.Doc(doc).Sub("properties"))
	return nil
}

func show(r *arm.Resource, props kit.Doc) {
	for _, p := range parts {
		kit.ShowParts(r, props, p, kit.BalancerType)
	}
	for _, kind := range []string{"outboundRules", "loadBalancingRules"} {
		for _, rule := range props.Docs(kind) {
			p, ref := rule.Doc("properties"), map[string]any{"id": rule.Str("id")}
			fronts := p.Docs("frontendIPConfigurations")
			if f := p.Doc("frontendIPConfiguration"); len(f) > 0 {
				fronts = append(fronts, f)
			}
			for _, f := range fronts {
				back(props, "frontendIPConfigurations", f.Str("id"), kind, ref)
			}
			back(props, "backendAddressPools", p.ID("backendAddressPool"), kind, ref)
		}
	}
	for _, pool := range props.Docs("backendAddressPools") {
		var users []string
		for _, u := range kit.Users(r) {
			if ip, in, ok := strings.Cut(u, "|"); ok && kit.SameID(in, pool.Str("id")) {
				users = append(users, ip)
			}
		}
		if len(users) > 0 {
			pool.Doc("properties")["backendIPConfigurations"] = kit.Refs(users)
		}
	}
}

func back(props kit.Doc, part, id, kind string, ref map[string]any) {
	for _, e := range props.Docs(part) {
		if kit.SameID(e.Str("id"), id) {
			p := e.Doc("properties")
			p[kind] = append(p.List(kind), ref)
		}
	}
}

// PoolUser is how a load balancer notes that an IP configuration is in one of its backend pools.
func PoolUser(ipConfiguration, pool string) string { return ipConfiguration + "|" + pool }

// OutboundAddress is the id of the public address by which the machines of a backend pool reach what is outside; "" if no rule says so.
func OutboundAddress(r *arm.Resource, pool string) string {
	for _, rule := range kit.Props(r).Docs("outboundRules") {
		p := rule.Doc("properties")
		if !kit.SameID(p.ID("backendAddressPool"), pool) {
			continue
		}
		for _, f := range p.Docs("frontendIPConfigurations") {
			name := f.Str("id")[strings.LastIndexByte(f.Str("id"), '/')+1:]
			for _, front := range kit.Props(r).Docs("frontendIPConfigurations") {
				if strings.EqualFold(front.Str("name"), name) {
					return front.ID("properties.publicIPAddress")
				}
			}
		}
	}
	return ""
}

// Outbound is the address that OutboundAddress names.
func Outbound(ctx context.Context, read *arm.Resources, r *arm.Resource, pool string) (netip.Addr, error) {
	id := OutboundAddress(r, pool)
	if id == "" {
		return netip.Addr{}, nil
	}
	address, err := read.Get(ctx, id)
	if arm.IsNotFound(err) {
		return netip.Addr{}, nil
	}
	return kit.PublicAddress(address), err
}

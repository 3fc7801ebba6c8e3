package app

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/dns"
	"cloister.dev/cloister/internal/netplan"
	"cloister.dev/cloister/internal/provider/privatedns"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// names writes the file that the resolver answers from.
type names struct {
	cfg    config.Config
	store  store.Store
	path   func(namespace string) string
	number int64
	last   spec.Zones
}

func (n *names) reconciler() reconcile.Reconciler {
	one := func(context.Context, store.Event) []string { return []string{"names"} }
	return reconcile.Reconciler{
		Name: "names", Workers: 1,
		Watches: []reconcile.Watch{
			{Prefix: "/res/", Map: func(_ context.Context, e store.Event) []string {
				if strings.Contains(e.Key, "/microsoft.network/privatednszones/") || strings.Contains(e.Key, "/microsoft.network/virtualnetworks/") {
					return []string{"names"}
				}
				return nil
			}},
			{Prefix: spec.PublicNamePrefix, Map: one}, {Prefix: "/status/nic/", Map: one},
		},
		Reconcile: func(ctx context.Context, _ string) (reconcile.Result, error) {
			return reconcile.Result{}, n.reconcile(ctx)
		},
	}
}

func (n *names) reconcile(ctx context.Context) error {
	zones, links, err := privatedns.Collect(ctx, n.store)
	if err != nil {
		return err
	}
	public, err := all[spec.PublicName](ctx, n.store, spec.PublicNamePrefix)
	if err != nil {
		return err
	}
	snap, err := collect(ctx, n.store)
	if err != nil {
		return err
	}
	z := spec.Zones{Private: zones, Upstreams: n.cfg.Upstreams, EdgeNetNS: n.path(netplan.EdgeNS), PublicDNS: n.cfg.DNSAddress(), PublicZones: []string{"azmk8s.io"}}
	for _, p := range public {
		z.Public = append(z.Public, p)
	}
	slices.SortFunc(z.Public, func(a, b spec.PublicName) int { return strings.Compare(a.Name, b.Name) })
	for _, network := range snap.networks {
		linked := slices.Sorted(slices.Values(links[network.ID]))
		z.Networks = append(z.Networks, spec.ZoneNetwork{ID: network.ID, NetNS: n.path(netplan.NetworkNS(network.ID)), Zones: linked})
	}
	z.Number = n.last.Number
	if n.number > 0 && reflect.DeepEqual(z, n.last) {
		return nil
	}
	n.number++
	z.Number = n.number
	if err := dns.Write(zonesFile(n.cfg), z); err != nil {
		return err
	}
	n.last = z
	return nil
}

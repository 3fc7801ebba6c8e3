package virtualnetworks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// outboundKey is where a network remembers the public address that its machines' connections leave by, when they have none of their own.
const outboundKey = "outbound"

func outboundOwner(r *arm.Resource) string { return r.ID + "/defaultOutbound" }

// Outbound is the network's own public address; the zero one while it has none.
func Outbound(r *arm.Resource) netip.Addr {
	a, err := netip.ParseAddr(kit.Doc(r.Private).Str(outboundKey))
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// reconcile gives a network a public address as soon as a machine in it needs one. It keeps it until it is deleted.
func (t typ) reconcile(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	done := arm.Progress{Done: true, Percent: 100}
	if Outbound(r).IsValid() {
		return done, nil
	}
	need, err := needsOutbound(ctx, t.Store, r.ParsedID().Key())
	if err != nil || !need {
		return done, err
	}
	tx := &store.Tx{}
	links := kit.NewLinks(t.Read(), tx)
	pool, err := links.Public(ctx, t.Config)
	if err != nil {
		return done, err
	}
	taken, err := pool.Take(outboundOwner(r), 1)
	if errors.Is(err, ipam.ErrFull) {
		return arm.Progress{}, fmt.Errorf("default outbound address of %s: %w; public addresses of the pool must become free, or the pool larger", r.ID, err)
	}
	if err != nil {
		return done, err
	}
	links.Took(pool)
	links.Save()
	// On a copy: the kernel saves what a reconcile that fails has changed in r, and the address is taken only with the pool.
	next := *r
	next.Private = maps.Clone(r.Private)
	if next.Private == nil {
		next.Private = map[string]any{}
	}
	next.Private[outboundKey] = taken[0].String()
	arm.Put(tx, &next)
	rev, err := t.Store.Commit(ctx, tx)
	if err != nil {
		return arm.Progress{}, err
	}
	r.Private, r.Rev = next.Private, rev
	return done, nil
}

// needsOutbound tells whether a machine in the network has no public address of its own.
func needsOutbound(ctx context.Context, r store.Reader, network string) (bool, error) {
	docs, _, err := r.List(ctx, spec.NICPrefix)
	if err != nil {
		return false, err
	}
	for _, d := range docs {
		var nic spec.NIC
		if err := json.Unmarshal(d.Value, &nic); err != nil {
			return false, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		if nic.Network == network && !nic.Outbound.IsValid() && !nic.Public.IsValid() {
			return true, nil
		}
	}
	return false, nil
}

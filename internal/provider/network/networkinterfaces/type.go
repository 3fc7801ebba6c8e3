// Package networkinterfaces is Microsoft.Network/networkInterfaces: a machine's place in a
// subnet, with its addresses. Interfaces of private endpoints are made and owned by them.
// https://learn.microsoft.com/rest/api/virtualnetwork/network-interfaces
package networkinterfaces

import (
	"context"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// New is the type.
func New(d kit.Deps) *arm.Type {
	t := typ{d}
	return &arm.Type{
		Name: kit.InterfaceType, APIVersions: kit.APIVersions, Tracked: true, Async: true,
		Admit: t.admit, Release: t.release, Reconcile: t.reconcile, View: view, ViewAlone: true,
		Watches: []arm.Watch{{Prefix: spec.StatusKey(spec.NICPrefix), Map: func(_ context.Context, e store.Event) []string {
			return []string{"/" + strings.TrimPrefix(e.Key, spec.StatusKey(spec.NICPrefix))}
		}}},
		DeleteAfter: []string{kit.MachineType, kit.EndpointType},
	}
}

type typ struct{ kit.Deps }

// EndpointKey is where the interface of a private endpoint remembers the endpoint's id.
const EndpointKey = "privateEndpoint"

// sandboxKey and machineKey are where an interface remembers what it is attached to.
const (
	sandboxKey = "sandbox"
	machineKey = "machine"
)

// release refuses to delete an interface that is used, and gives back what it has.
func (t typ) release(ctx context.Context, w *arm.Write) error {
	private := kit.Doc(w.Old.Private)
	if owner := private.Str(EndpointKey); owner != "" {
		if _, err := w.Read.Get(ctx, owner); err == nil {
			w.Fail("NicInUseWithPrivateEndpoint", "", "Network interface %s cannot be deleted because it belongs to private endpoint %s. Delete that instead: the interface goes with it.", w.Old.ID, owner)
			return nil
		} else if !arm.IsNotFound(err) {
			return err
		}
	}
	if private.Str(sandboxKey) != "" && !w.Cascade {
		user := private.Str(machineKey)
		if user == "" {
			user = private.Str(sandboxKey)
		}
		w.Fail("NicInUse", "", "Network Interface %s is used by existing resource %s. In order to delete the network interface, it must be dissociated from the resource.", w.Old.ID, user)
		return nil
	}
	links := kit.NewLinks(w.Read, w.Tx)
	if err := detach(ctx, links, w.Old, nil); err != nil {
		return err
	}
	links.Save()
	w.Tx.Delete(spec.NICKey(w.ID.Key()))
	return nil
}

// detach gives back what old has and now has not: addresses, security group, public addresses, places in backend pools.
func detach(ctx context.Context, links *kit.Links, old, now *arm.Resource) error {
	var keep uses
	if now != nil {
		keep = usesOf(now)
	}
	before := usesOf(old)
	for _, u := range before.refs {
		if keep.has(u) {
			continue
		}
		if err := links.Detach(ctx, u.id, u.user); err != nil {
			return err
		}
	}
	if before.subnet == "" {
		return nil
	}
	subnet, err := links.Load(ctx, before.subnet)
	if err != nil || subnet == nil {
		return err
	}
	pool, err := links.Subnet(ctx, subnet)
	if err != nil {
		return err
	}
	kit.ReleaseBelow(pool, old.ID)
	links.Took(pool)
	return nil
}

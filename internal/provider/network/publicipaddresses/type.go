// Package publicipaddresses is Microsoft.Network/publicIPAddresses: addresses of the pool
// on the edge, by which machines reach what is outside and are reached.
// https://learn.microsoft.com/rest/api/virtualnetwork/public-ip-addresses
package publicipaddresses

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/network/kit"
)

// New is the type.
func New(d kit.Deps) *arm.Type {
	t := typ{d}
	return &arm.Type{
		Name: kit.PublicIPType, APIVersions: kit.APIVersions, Tracked: true,
		Admit: t.admit, Release: t.release, View: view, ViewAlone: true,
		DeleteAfter: []string{kit.InterfaceType, kit.BalancerType, kit.MachineType},
	}
}

type typ struct{ kit.Deps }

func (t typ) admit(ctx context.Context, w *arm.Write) error {
	validate(w)
	if len(w.Problems) > 0 {
		return nil
	}
	props := kit.Props(w.New)
	delete(props, "ipConfiguration")
	if w.Old != nil {
		old := kit.Props(w.Old)
		props["ipAddress"], props["resourceGuid"] = old["ipAddress"], old["resourceGuid"]
		return nil
	}
	links := kit.NewLinks(w.Read, w.Tx)
	pool, err := links.Public(ctx, t.Config)
	if err != nil {
		return err
	}
	taken, err := pool.Take(w.New.ID, 1)
	if errors.Is(err, ipam.ErrFull) {
		return arm.Conflict("PublicIPCountLimitReached", "Cannot create more public IP addresses: the pool %s has no free one. Delete one that is not used, or configure a larger pool (publicPool).", t.Config.PublicPool)
	}
	if err != nil {
		return err
	}
	links.Took(pool)
	links.Save()
	props["ipAddress"], props["resourceGuid"] = taken[0].String(), uuid.NewString()
	return nil
}

func (t typ) release(ctx context.Context, w *arm.Write) error {
	if users := kit.Users(w.Old); len(users) > 0 {
		w.Fail("PublicIPAddressCannotBeDeleted", "", "Public IP address %s can not be deleted since it is still allocated to resource %s. Take it away from there, or delete that resource first.", w.Old.ID, strings.Join(users, ", "))
		return nil
	}
	links := kit.NewLinks(w.Read, w.Tx)
	pool, err := links.Public(ctx, t.Config)
	if err != nil {
		return err
	}
	pool.Release(w.Old.ID)
	links.Took(pool)
	links.Save()
	return nil
}

// view shows who uses the address. One that is allocated dynamically is shown while somebody does.
func view(_ context.Context, r *arm.Resource, doc map[string]any) error {
	props := kit.Doc(doc).Sub("properties")
	users := kit.Users(r)
	if len(users) > 0 {
		props["ipConfiguration"] = map[string]any{"id": users[0]}
	} else if props.Str("publicIPAllocationMethod") == "Dynamic" {
		delete(props, "ipAddress")
	}
	return nil
}

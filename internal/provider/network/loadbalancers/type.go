// Package loadbalancers is Microsoft.Network/loadBalancers, of the outbound kind: they name the public
// address by which the machines of a backend pool reach what is outside.
// https://learn.microsoft.com/rest/api/load-balancer/load-balancers
package loadbalancers

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

// New is the type.
func New(d kit.Deps) *arm.Type {
	t := typ{d}
	return &arm.Type{
		Name: kit.BalancerType, APIVersions: kit.APIVersions, Tracked: true,
		Admit: t.admit, Release: t.release, View: t.view, ViewAlone: true,
		DeleteAfter: []string{kit.InterfaceType, kit.MachineType, kit.ScaleSetType, kit.ClusterType},
	}
}

type typ struct{ kit.Deps }

// parts are the arrays of named objects in a load balancer, which have ids of their own.
var parts = []string{"frontendIPConfigurations", "backendAddressPools", "outboundRules", "probes", "loadBalancingRules", "inboundNatRules", "inboundNatPools"}

func (t typ) admit(ctx context.Context, w *arm.Write) error {
	validate(w)
	if len(w.Problems) > 0 {
		return nil
	}
	props := kit.Props(w.New)
	props["resourceGuid"] = uuid.NewString()
	if w.Old != nil {
		props["resourceGuid"] = kit.Props(w.Old)["resourceGuid"]
	}
	links := kit.NewLinks(w.Read, w.Tx)
	if err := useAddresses(ctx, w, links); err != nil || len(w.Problems) > 0 {
		return err
	}
	links.Save()
	return nil
}

// useAddresses notes the public addresses of the frontends, and frees those that are none any more.
func useAddresses(ctx context.Context, w *arm.Write, links *kit.Links) error {
	before := map[string]string{} // frontend -> address
	if w.Old != nil {
		before = addresses(w.Old)
	}
	now := addresses(w.New)
	for frontend, id := range before {
		if !kit.SameID(now[frontend], id) {
			if err := links.Detach(ctx, id, w.New.ID+"/frontendIPConfigurations/"+frontend); err != nil {
				return err
			}
		}
	}
	for frontend, id := range now {
		target := "properties.frontendIPConfigurations." + frontend + ".publicIPAddress"
		if _, err := links.UsePublic(ctx, w, target, id, w.New.ID+"/frontendIPConfigurations/"+frontend, w.New.Location(), kit.SameID(before[frontend], id)); err != nil {
			return err
		}
	}
	return nil
}

func addresses(r *arm.Resource) map[string]string {
	out := map[string]string{}
	for _, f := range kit.Props(r).Docs("frontendIPConfigurations") {
		if id := f.ID("properties.publicIPAddress"); id != "" {
			out[f.Str("name")] = id
		}
	}
	return out
}

func (t typ) release(ctx context.Context, w *arm.Write) error {
	if users := kit.Users(w.Old); len(users) > 0 {
		w.Fail("InUseLoadBalancerCannotBeDeleted", "", "Load balancer %s cannot be deleted because it is in use by %s. Take these out of its backend pools first.", w.Old.ID, strings.Split(users[0], "|")[0])
		return nil
	}
	links := kit.NewLinks(w.Read, w.Tx)
	for frontend, id := range addresses(w.Old) {
		if err := links.Detach(ctx, id, w.Old.ID+"/frontendIPConfigurations/"+frontend); err != nil {
			return err
		}
	}
	links.Save()
	return nil
}

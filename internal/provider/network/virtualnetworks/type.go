// Package virtualnetworks is Microsoft.Network/virtualNetworks: a routing domain with
// an address space of its own, which may be the same as another network's.
// https://learn.microsoft.com/rest/api/virtualnetwork/virtual-networks
package virtualnetworks

import (
	"context"
	"encoding/json"
	"regexp"
	"sort"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/provider/network/subnets"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// New is the type.
func New(d kit.Deps) *arm.Type {
	t := typ{d}
	return &arm.Type{
		Name: kit.NetworkType, APIVersions: kit.APIVersions, Tracked: true,
		Names:    regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}[A-Za-z0-9_]$|^[A-Za-z0-9]$`),
		NameRule: "1 to 64 letters, digits, '_', '.' and '-', beginning with a letter or digit and ending with one or '_'",
		Admit:    t.admit, Release: t.release, Reconcile: t.reconcile, Remove: t.remove, View: t.view,
		Watches:     []arm.Watch{{Prefix: spec.NICPrefix, Map: networkOf}},
		DeleteAfter: []string{kit.InterfaceType, kit.EndpointType, kit.MachineType, kit.ScaleSetType, kit.ClusterType, kit.ZoneLinkType, kit.BalancerType},
	}
}

type typ struct{ kit.Deps }

// networkOf leads a machine's interface to its network, which may need a way out now.
func networkOf(_ context.Context, e store.Event) []string {
	var nic spec.NIC
	if json.Unmarshal(e.Value, &nic) != nil || nic.Network == "" {
		return nil
	}
	return []string{nic.Network}
}

func (t typ) admit(ctx context.Context, w *arm.Write) error {
	props := kit.Props(w.New)
	if !kit.CheckKinds(w, props, "properties.", kinds) {
		return nil
	}
	checkSpace(w, props, t.Config.PublicPool)
	unsupported(w, props)
	props.Default("enableDdosProtection", false)
	if len(props.Doc("dhcpOptions")) == 0 {
		delete(props, "dhcpOptions")
	}
	for _, computed := range []string{"resourceGuid", "virtualNetworkPeerings", "defaultPublicNatGateway"} {
		delete(props, computed)
	}
	props["resourceGuid"] = uuid.NewString()
	if w.Old != nil {
		props["resourceGuid"] = kit.Props(w.Old)["resourceGuid"]
	}
	if len(w.Problems) > 0 {
		return nil
	}
	links := kit.NewLinks(w.Read, w.Tx)
	if err := t.writeSubnets(ctx, w, links, props); err != nil || len(w.Problems) > 0 {
		return err
	}
	links.Save()
	return nil
}

// release refuses to delete a network that is used, and gives its public address back.
func (t typ) release(ctx context.Context, w *arm.Write) error {
	links := kit.NewLinks(w.Read, w.Tx)
	all, err := w.Read.Below(ctx, w.Old.ID, kit.SubnetType)
	if err != nil {
		return err
	}
	for _, s := range all {
		pool, err := links.Subnet(ctx, s)
		if err != nil {
			return err
		}
		if len(pool.Used) > 0 {
			w.Problems = append(w.Problems, subnets.InUse(s, pool))
		}
	}
	if len(w.Problems) > 0 {
		return nil
	}
	public, err := links.Public(ctx, t.Config)
	if err != nil {
		return err
	}
	public.Release(outboundOwner(w.Old))
	delete(w.Old.Private, outboundKey)
	links.Took(public)
	links.Save()
	return nil
}

// view embeds the subnets.
func (t typ) view(ctx context.Context, r *arm.Resource, doc map[string]any) error {
	props := kit.Doc(doc).Sub("properties")
	all, err := t.Read().Below(ctx, r.ID, kit.SubnetType)
	if err != nil {
		return err
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].CreatedAt.Before(all[j].CreatedAt) })
	list := []any{}
	for _, s := range all {
		sub, _ := kit.Clone(s.Body).(map[string]any)
		p := kit.Doc(sub).Sub("properties")
		p["provisioningState"] = s.State
		if err := subnets.Show(ctx, t.Read(), s, p); err != nil {
			return err
		}
		sub["id"], sub["name"], sub["type"], sub["etag"] = s.ID, s.Name, s.Type, s.ETag()
		list = append(list, sub)
	}
	props["subnets"], props["virtualNetworkPeerings"] = list, []any{}
	props.Default("privateEndpointVNetPolicies", "Disabled")
	props.Sub("dhcpOptions").Default("dnsServers", []any{})
	return nil
}

package networkinterfaces

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/provider/network/loadbalancers"
	"cloister.dev/cloister/internal/provider/network/subnets"
	"cloister.dev/cloister/internal/resourceid"
)

func (t typ) admit(ctx context.Context, w *arm.Write) error {
	if w.Old != nil && kit.Doc(w.Old.Private).Str(EndpointKey) != "" {
		keepEndpoints(w)
		return nil
	}
	configs := validate(w)
	if len(w.Problems) > 0 {
		return nil
	}
	props := kit.Props(w.New)
	identify(w, props)
	links := kit.NewLinks(w.Read, w.Tx)
	subnet, err := t.useSubnet(ctx, w, links, configs)
	if err != nil {
		return err
	}
	if w.Old != nil { // first: an address may go from one configuration to another
		if err := detach(ctx, links, w.Old, w.New); err != nil {
			return err
		}
	}
	if err := useOthers(ctx, w, links, configs); err != nil || subnet == nil || len(w.Problems) > 0 {
		return err
	}
	if err := takeAddresses(ctx, w, links, subnet, configs); err != nil || len(w.Problems) > 0 {
		return err
	}
	links.Save()
	return nil
}

// keepEndpoints leaves the interface of a private endpoint as its endpoint made it; tags may change.
func keepEndpoints(w *arm.Write) {
	old, now := kit.Props(w.Old), kit.Props(w.New)
	changed := now.ID("networkSecurityGroup") != "" || len(now.Docs("ipConfigurations")) != len(old.Docs("ipConfigurations"))
	for i, c := range now.Docs("ipConfigurations") {
		if o := old.Docs("ipConfigurations"); i < len(o) && c.Str("properties.privateIPAddress") != o[i].Str("properties.privateIPAddress") {
			changed = true
		}
	}
	if changed && !w.Patch {
		w.Fail("NicInUseWithPrivateEndpoint", "properties", "Network interface %s belongs to private endpoint %s, and only its tags can be changed.", w.Old.ID, kit.Doc(w.Old.Private).Str(EndpointKey))
		return
	}
	w.New.Body["properties"] = kit.Clone(map[string]any(old))
}

// identify gives a new interface a GUID and a hardware address, which it keeps.
func identify(w *arm.Write, props kit.Doc) {
	if w.Old != nil {
		old := kit.Props(w.Old)
		props["resourceGuid"], props["macAddress"] = old["resourceGuid"], old["macAddress"]
		return
	}
	props["resourceGuid"], props["macAddress"] = uuid.NewString(), MAC(w.ID.Key())
}

// MAC is the hardware address of an interface as Azure writes it, 00-0D-3A-xx-xx-xx. It follows from the key.
func MAC(key string) string {
	h := sha256.Sum256([]byte(key))
	return fmt.Sprintf("00-0D-3A-%02X-%02X-%02X", h[0], h[1], h[2])
}

// useSubnet checks the one subnet of all configurations.
func (t typ) useSubnet(ctx context.Context, w *arm.Write, links *kit.Links, configs []config) (*arm.Resource, error) {
	id := configs[0].props.ID("subnet")
	held := w.Old != nil && kit.SameID(usesOf(w.Old).subnet, id)
	for _, c := range configs[1:] {
		if !kit.SameID(c.props.ID("subnet"), id) {
			w.Fail("IpConfigurationsOnSameNicCannotUseDifferentSubnets", c.target+"subnet", "IP configurations of network interface %s must all be in one subnet, %s.", w.ID, id)
			return nil, nil
		}
	}
	subnet, err := links.Use(ctx, w, kit.Ref{Target: configs[0].target + "subnet", ID: id, Type: kit.SubnetType, Action: subnets.JoinAction, Held: held})
	if err != nil || subnet == nil {
		return nil, err
	}
	network, err := w.Read.Get(ctx, subnet.ParsedID().Parent().String())
	if err != nil {
		return nil, err
	}
	if kit.Region(network.Location()) != kit.Region(w.New.Location()) {
		w.Fail("InvalidResourceReference", "location", "Network interface %s is in %s, and virtual network %s in %s. Both must be in one region.", w.ID, kit.Region(w.New.Location()), network.ID, kit.Region(network.Location()))
		return nil, nil
	}
	if w.Old != nil && kit.NetworkOf(usesOf(w.Old).subnet) != kit.NetworkOf(id) {
		w.Fail("SubnetsNotInSameVnet", configs[0].target+"subnet", "Network interface %s cannot move to another virtual network. Make a new one there.", w.ID)
		return nil, nil
	}
	return subnet, nil
}

// useOthers checks and notes the security group, the public addresses and the backend pools.
func useOthers(ctx context.Context, w *arm.Write, links *kit.Links, configs []config) error {
	var before uses
	if w.Old != nil {
		before = usesOf(w.Old)
	}
	if id := kit.Props(w.New).ID("networkSecurityGroup"); id != "" {
		group, err := links.Use(ctx, w, kit.Ref{Target: "properties.networkSecurityGroup", ID: id, Type: kit.GroupType, Action: "Microsoft.Network/networkSecurityGroups/join/action", Region: w.New.Location(), Held: before.has(use{id, w.New.ID})})
		if err != nil {
			return err
		}
		if group != nil {
			links.Attach(group, w.New.ID)
		}
	}
	for _, c := range configs {
		user := w.New.ID + "/ipConfigurations/" + c.name
		if id := c.props.ID("publicIPAddress"); id != "" {
			if _, err := links.UsePublic(ctx, w, c.target+"publicIPAddress", id, user, w.New.Location(), before.has(use{id, user})); err != nil {
				return err
			}
		}
		for _, pool := range c.props.Docs("loadBalancerBackendAddressPools") {
			if err := usePool(ctx, w, links, c, pool.Str("id"), user, before); err != nil {
				return err
			}
		}
	}
	return nil
}

func usePool(ctx context.Context, w *arm.Write, links *kit.Links, c config, pool, user string, before uses) error {
	target := c.target + "loadBalancerBackendAddressPools"
	id := balancerOf(pool)
	if id == "" {
		w.Fail("InvalidResourceReference", target, "'%s' is not the id of a load balancer's backend address pool.", pool)
		return nil
	}
	user = loadbalancers.PoolUser(user, pool)
	lb, err := links.Use(ctx, w, kit.Ref{Target: target, ID: id, Type: kit.BalancerType, Action: "Microsoft.Network/loadBalancers/backendAddressPools/join/action", Region: w.New.Location(), Held: before.has(use{id, user})})
	if err != nil || lb == nil {
		return err
	}
	name := resourceid.MustParse(pool).Name()
	for _, p := range kit.Props(lb).Docs("backendAddressPools") {
		if strings.EqualFold(p.Str("name"), name) {
			links.Attach(lb, user)
			return nil
		}
	}
	w.Fail("InvalidResourceReference", target, "Load balancer %s has no backend address pool '%s'.", lb.ID, name)
	return nil
}

// takeAddresses gives every configuration its address: the one that it names, the one that it had, or a free one.
func takeAddresses(ctx context.Context, w *arm.Write, links *kit.Links, subnet *arm.Resource, configs []config) error {
	pool, err := links.Subnet(ctx, subnet)
	if err != nil {
		return err
	}
	links.Took(pool)
	had := map[string]string{}
	if w.Old != nil && kit.SameID(usesOf(w.Old).subnet, subnet.ID) {
		for _, c := range kit.Props(w.Old).Docs("ipConfigurations") {
			had[strings.ToLower(c.Str("name"))] = c.Str("properties.privateIPAddress")
		}
	}
	var rest []config
	for _, c := range configs {
		want := had[strings.ToLower(c.name)]
		static := c.props.Str("privateIPAllocationMethod") == "Static"
		if static {
			want = c.props.Str("privateIPAddress")
		}
		if want == "" {
			rest = append(rest, c)
			continue
		}
		Claim(w, pool, subnet, w.New.ID+"/ipConfigurations/"+c.name, want, c.target+"privateIPAddress")
		c.props["privateIPAddress"] = want
	}
	for _, c := range rest {
		a, ok := Take(w, pool, subnet, w.New.ID+"/ipConfigurations/"+c.name, c.target+"subnet")
		if !ok {
			return nil
		}
		c.props["privateIPAddress"] = a.String()
	}
	return nil
}

// Claim takes the address that a configuration names, or reports why it cannot have it.
func Claim(w *arm.Write, pool *ipam.Pool, subnet *arm.Resource, owner, address, target string) {
	prefixes := kit.Prefixes(kit.Props(subnet))
	a, err := netip.ParseAddr(address)
	switch {
	case err != nil || !a.Is4():
		w.Fail("PrivateIPAddressInvalid", target, "Private static IP address '%s' of %s is not an IPv4 address.", address, owner)
		return
	case !prefixes[0].Contains(a):
		w.Fail("PrivateIPAddressNotInSubnet", target, "Private static IP address %s does not belong to the range of subnet prefix %s. Take one of that range.", a, prefixes[0])
		return
	}
	err = pool.Claim(owner, a)
	switch {
	case errors.Is(err, ipam.ErrTaken):
		w.Fail("PrivateIPAddressIsAllocated", target, "IP configuration %s is using the private IP address %s which is already allocated to resource %s. Take another one.", owner, a, pool.Used[a])
	case err != nil:
		w.Fail("PrivateIPAddressInReservedRange", target, "Private static IP address %s falls within reserved IP range of subnet prefix %s: its first four addresses and its last one are the platform's.", a, prefixes[0])
	}
}

// Take takes a free address, or reports that there is none.
func Take(w *arm.Write, pool *ipam.Pool, subnet *arm.Resource, owner, target string) (netip.Addr, bool) {
	taken, err := pool.Take(owner, 1)
	if err != nil {
		w.Fail("SubnetIsFull", target, "Subnet %s with address prefix %s does not have a free IP address. Take another subnet, or delete what is not used in this one.", subnet.ID, kit.List(kit.Prefixes(kit.Props(subnet))))
		return netip.Addr{}, false
	}
	return taken[0], true
}

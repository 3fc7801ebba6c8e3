package subnets

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/network/kit"
)

// Change is a subnet that is written: alone, or within its network.
type Change struct {
	Target string // path of its properties, with a dot at the end
	ID     string
	Old    *arm.Resource // nil when it is new
	New    *arm.Resource
	Prefix netip.Prefix // set by Check
}

// smallest is the longest prefix that leaves addresses: of eight, the platform has five.
const smallest = 29

// JoinAction is what who puts something into a subnet needs there.
const JoinAction = "Microsoft.Network/virtualNetworks/subnets/join/action"

const joinGroup = "Microsoft.Network/networkSecurityGroups/join/action"

// Check sets defaults in the subnets that are written, checks them against the network (as it is going to be) and against each
// other and those that stay as they are, and notes what they use.
func Check(ctx context.Context, w *arm.Write, links *kit.Links, network *arm.Resource, changes []Change, others []*arm.Resource) error {
	for i := range changes {
		if err := checkOne(ctx, w, links, network, &changes[i]); err != nil {
			return err
		}
	}
	for i, c := range changes {
		if !c.Prefix.IsValid() {
			continue
		}
		for _, o := range others {
			for _, p := range kit.Prefixes(kit.Props(o)) {
				overlap(w, c, o.Name, p)
			}
		}
		for _, o := range changes[:i] {
			overlap(w, c, o.New.Name, o.Prefix)
		}
	}
	return nil
}

func overlap(w *arm.Write, c Change, other string, p netip.Prefix) {
	if p.IsValid() && p.Overlaps(c.Prefix) {
		w.Fail("NetcfgSubnetRangesOverlap", c.Target+"addressPrefix", "Subnet '%s' is not valid because its IP address range %s overlaps with that of an existing subnet, '%s' (%s). Take a range that no subnet has.", c.New.Name, c.Prefix, other, p)
	}
}

var kinds = map[string]kit.Kind{
	"addressPrefix": kit.String, "addressPrefixes": kit.Strings, "networkSecurityGroup": kit.Object, "networkSecurityGroup.id": kit.String,
	"privateEndpointNetworkPolicies": kit.String, "privateLinkServiceNetworkPolicies": kit.String, "delegations": kit.Objects,
	"serviceEndpoints": kit.Objects, "routeTable": kit.Object, "natGateway": kit.Object, "defaultOutboundAccess": kit.Boolean,
}

func checkOne(ctx context.Context, w *arm.Write, links *kit.Links, network *arm.Resource, c *Change) error {
	props := kit.Props(c.New)
	if !kit.CheckKinds(w, props, c.Target, kinds) {
		return nil
	}
	unsupported(w, c, props)
	normalise(props)
	c.Prefix = checkPrefix(w, c, props, network)
	if err := checkUse(ctx, w, links, c); err != nil {
		return err
	}
	return checkGroup(ctx, w, links, network, c)
}

func unsupported(w *arm.Write, c *Change, props kit.Doc) {
	for key, what := range map[string]string{"routeTable": "Route tables are", "natGateway": "NAT gateways are"} {
		if props.ID(key) != "" {
			kit.Unsupported(w, c.Target+key, what, "Leave "+key+" out: connections leave by the network's own public address.")
		}
	}
	if len(props.List("serviceEndpoints")) > 0 {
		kit.Unsupported(w, c.Target+"serviceEndpoints", "Service endpoints are", "Leave them out.")
	}
	if access, ok := props["defaultOutboundAccess"].(bool); ok && !access {
		kit.Unsupported(w, c.Target+"defaultOutboundAccess", "Subnets without default outbound access are", "Leave defaultOutboundAccess out, and forbid outbound connections by a security group.")
	}
	for _, one := range []string{"privateEndpointNetworkPolicies", "privateLinkServiceNetworkPolicies"} {
		allowed := []string{"Enabled", "Disabled"}
		if one == "privateEndpointNetworkPolicies" {
			allowed = append(allowed, "NetworkSecurityGroupEnabled", "RouteTableEnabled")
		}
		if v := props.Str(one); v != "" && !slices.Contains(allowed, v) {
			w.Fail("InvalidRequestFormat", c.Target+one, "The value '%s' of %s is not one of %s.", v, one, strings.Join(allowed, ", "))
		}
	}
}

// normalise brings both ways to write prefixes together, and sets defaults. What is computed at reading is taken out.
func normalise(props kit.Doc) {
	if list := props.Strings("addressPrefixes"); len(list) == 1 && props.Str("addressPrefix") == "" {
		props["addressPrefix"] = list[0]
	}
	if one := props.Str("addressPrefix"); one != "" {
		if len(props.List("addressPrefixes")) <= 1 {
			delete(props, "addressPrefixes")
		}
	}
	props.Default("privateEndpointNetworkPolicies", "Disabled")
	props.Default("privateLinkServiceNetworkPolicies", "Enabled")
	props.Default("delegations", []any{})
	for _, computed := range []string{"provisioningState", "ipConfigurations", "privateEndpoints", "purpose", "resourceNavigationLinks", "serviceAssociationLinks", "ipConfigurationProfiles"} {
		delete(props, computed)
	}
	for _, empty := range []string{"networkSecurityGroup", "routeTable", "natGateway"} {
		if props.ID(empty) == "" {
			delete(props, empty)
		}
	}
	for _, d := range props.Docs("delegations") {
		d.Sub("properties").Default("provisioningState", "Succeeded")
	}
}

func checkPrefix(w *arm.Write, c *Change, props kit.Doc, network *arm.Resource) netip.Prefix {
	target := c.Target + "addressPrefix"
	if len(props.List("addressPrefixes")) > 1 {
		kit.Unsupported(w, c.Target+"addressPrefixes", "Subnets with more than one address prefix are", "Give the subnet one, or make several subnets.")
		return netip.Prefix{}
	}
	text := props.Str("addressPrefix")
	if text == "" {
		w.Fail("NetcfgInvalidSubnet", target, "Subnet '%s' has no address prefix. Give it one within the network's address space, %s.", c.New.Name, kit.List(kit.SpacePrefixes(kit.Props(network))))
		return netip.Prefix{}
	}
	p, ok := kit.ParsePrefix(w, text, target, c.ID)
	if !ok {
		return netip.Prefix{}
	}
	space := kit.SpacePrefixes(kit.Props(network))
	switch {
	case p.Bits() > smallest:
		w.Fail("NetcfgInvalidSubnet", target, "Subnet '%s' is not valid in virtual network '%s': %s is too small. The smallest subnet is a /%d, because the first four addresses and the last one are reserved.", c.New.Name, network.Name, p, smallest)
	case !kit.Within(p, space):
		w.Fail("NetcfgSubnetRangeOutsideVnet", target, "Subnet '%s' is not valid because its IP address range %s is outside the IP address range of virtual network '%s' (%s). Take a part of that range, or extend the network's address space.", c.New.Name, p, network.Name, kit.List(space))
	default:
		return p
	}
	return netip.Prefix{}
}

// checkUse refuses another prefix, or other policies, where addresses are in use.
func checkUse(ctx context.Context, w *arm.Write, links *kit.Links, c *Change) error {
	if c.Old == nil || !c.Prefix.IsValid() {
		return nil
	}
	before := kit.Prefixes(kit.Props(c.Old))
	if len(before) == 1 && before[0] == c.Prefix {
		return nil
	}
	pool, err := links.Subnet(ctx, c.Old)
	if err != nil {
		return err
	}
	if users := kit.SubnetUsers(pool); len(users) > 0 {
		w.Fail("InUsePrefixCannotBeDeleted", c.Target+"addressPrefix", "IpPrefix %s on Subnet %s has active allocations (%s) and cannot be changed. Delete them first, or make another subnet.", kit.List(before), c.Old.Name, some(users))
		return nil
	}
	links.Took(pool)
	return nil
}

func checkGroup(ctx context.Context, w *arm.Write, links *kit.Links, network *arm.Resource, c *Change) error {
	id, old := kit.Props(c.New).ID("networkSecurityGroup"), ""
	if c.Old != nil {
		old = kit.Props(c.Old).ID("networkSecurityGroup")
	}
	if id != "" {
		group, err := links.Use(ctx, w, kit.Ref{
			Target: c.Target + "networkSecurityGroup", ID: id, Type: kit.GroupType, Action: joinGroup, Region: network.Location(), Held: strings.EqualFold(id, old),
		})
		if err != nil || group == nil {
			return err
		}
		links.Attach(group, c.ID)
	}
	if !strings.EqualFold(id, old) {
		return links.Detach(ctx, old, c.ID)
	}
	return nil
}

// InUse is the error of deleting a subnet, or its network, that has users.
func InUse(s *arm.Resource, p *ipam.Pool) *arm.Error {
	return arm.BadRequest("InUseSubnetCannotBeDeleted", "Subnet %s is in use by %s and cannot be deleted. In order to delete the subnet, delete all the resources within the subnet.", s.Name, some(kit.SubnetUsers(p)))
}

// Release checks that nothing uses the subnet and notes that it uses nothing any more.
func Release(ctx context.Context, w *arm.Write, links *kit.Links, old *arm.Resource) error {
	pool, err := links.Subnet(ctx, old)
	if err != nil {
		return err
	}
	if len(pool.Used) > 0 {
		w.Problems = append(w.Problems, InUse(old, pool))
		return nil
	}
	links.Took(pool)
	return links.Detach(ctx, kit.Props(old).ID("networkSecurityGroup"), old.ID)
}

// some names the first of many users.
func some(users []string) string {
	const most = 10
	if len(users) > most {
		return strings.Join(users[:most], ", ") + " and others"
	}
	return strings.Join(users, ", ")
}

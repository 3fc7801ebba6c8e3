package virtualnetworks

import (
	"context"
	"net/netip"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/resourceid"
)

// Routes lists the operations below a network that are no resources.
func Routes() []arm.Route {
	const one = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + kit.NetworkType + "/{name}"
	return []arm.Route{{
		Method: "GET", Pattern: one + "/CheckIPAddressAvailability", Scope: one, Permission: kit.NetworkType + "/checkIpAddressAvailability/read", Serve: checkAddress,
	}}
}

// offered is how many free addresses an answer names.
const offered = 5

// checkAddress tells whether an address is free, and names some that are.
// https://learn.microsoft.com/rest/api/virtualnetwork/virtual-networks/check-ip-address-availability
func checkAddress(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	group := resourceid.MustParse("/subscriptions/" + r.Params["subscription"] + "/resourceGroups/" + r.Params["group"])
	network, err := r.Read.Get(ctx, group.Resource(kit.NetworkType, r.Params["name"]).String())
	if err != nil {
		return nil, err
	}
	address, err := netip.ParseAddr(r.Query["ipaddress"])
	if err != nil || !address.Is4() {
		return nil, arm.BadRequest("InvalidQueryParameterValue", "The query parameter ipAddress must be an IPv4 address of the network.")
	}
	all, err := r.Read.Below(ctx, network.ID, kit.SubnetType)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		prefixes := kit.Prefixes(kit.Props(s))
		if len(prefixes) == 0 || !prefixes[0].Contains(address) {
			continue
		}
		pool, err := kit.NewLinks(r.Read, nil).Subnet(ctx, s)
		if err != nil {
			return nil, err
		}
		available := pool.Claim(s.ID, address) == nil && pool.Used[address] == s.ID
		body := map[string]any{"available": available, "isPlatformReserved": false}
		if !available {
			if free, err := pool.Take(s.ID, min(offered, max(pool.Free(), 0))); err == nil {
				body["availableIPAddresses"] = free
			}
			_, used := pool.Used[address]
			body["isPlatformReserved"] = !used
		}
		return &arm.Response{Body: body}, nil
	}
	return nil, arm.BadRequest("PrivateIPAddressNotInAnySubnet", "Private static IP address %s does not belong to the range of any subnet of virtual network %s.", address, network.ID)
}

package agentpools

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
)

// Reserved is the number of addresses at a subnet's beginning that Azure keeps for itself.
const Reserved = 4

// Subnet is a subnet as it was read.
type Subnet struct {
	ID     resourceid.ID
	Prefix netip.Prefix
}

// SubnetPrefix is the IPv4 prefix of a subnet's document.
func SubnetPrefix(r *arm.Resource) (netip.Prefix, error) {
	p := shape.Doc(r.Properties())
	all := p.Strings("addressPrefixes")
	if one := p.Str("addressPrefix"); one != "" {
		all = append([]string{one}, all...)
	}
	for _, text := range all {
		if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Addr().Is4() {
			return prefix.Masked(), nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("subnet %s has no IPv4 prefix", r.ID)
}

// CheckSubnet finds the subnet that a pool names, and reports what stands against it: that it is not
// there, is in another region, or (an error) that the caller may not put machines into it. A pool that is in the
// subnet already holds it: whoever scales it needs no right on the network.
func CheckSubnet(ctx context.Context, w *arm.Write, id, target, region string, held bool) (*Subnet, error) {
	parsed, err := resourceid.Parse(id)
	if err != nil || !strings.EqualFold(parsed.Type(), shape.SubnetType) || parsed.IsCollection() {
		w.Fail("InvalidParameter", target, "The subnet '%s' is not the id of a subnet: /subscriptions/{id}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{network}/subnets/{subnet}.", id)
		return nil, nil
	}
	// Who may not use it does not learn whether it is there.
	if !held {
		if err := w.Allowed(ctx, "Microsoft.Network/virtualNetworks/subnets/join/action", id); err != nil {
			return nil, linkedError(err)
		}
	}
	network, err := w.Read.Get(ctx, parsed.Parent().String())
	if arm.IsNotFound(err) {
		w.Fail("VnetNotFound", target, "The virtual network '%s' does not exist. Create it first.", parsed.Parent())
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	doc, err := w.Read.Get(ctx, id)
	if arm.IsNotFound(err) {
		w.Fail("SubnetNotFound", target, "The subnet '%s' does not exist. Create it first, or leave the subnet out to get a network made for the cluster.", id)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(shape.Region(network.Location()), region) {
		w.Fail("InvalidVNetLocation", target, "The virtual network '%s' is in %s, and the cluster in %s. Both must be in one region.", parsed.Parent().Name(), network.Location(), region)
	}
	prefix, err := SubnetPrefix(doc)
	if err != nil {
		w.Fail("InvalidParameter", target, "The subnet '%s' has no IPv4 prefix. Give it one.", id)
		return nil, nil
	}
	return &Subnet{ID: parsed, Prefix: prefix}, nil
}

// linkedError gives a refused permission on another resource Azure's code for that.
func linkedError(err error) error {
	var e *arm.Error
	if errors.As(err, &e) && e.Code == "AuthorizationFailed" {
		return arm.Errorf(e.Status, "LinkedAuthorizationFailed", "The request puts nodes into another resource. %s", e.Message)
	}
	return err
}

// Need is how many addresses a pool takes: one for each node, and one for each pod that it may run.
func Need(p shape.Doc) int { return p.Int("count") * (p.Int("maxPods") + 1) }

// CheckRoom reports a subnet that has fewer free addresses than pools and endpoint need. What the
// cluster (all that is in its node resource group) has in the subnet counts as free.
func CheckRoom(ctx context.Context, w *arm.Write, s *Subnet, need int, target string, nodeGroup resourceid.ID) error {
	pool, err := ipam.Load(ctx, w.Read.Store, s.ID.Key(), s.Prefix, Reserved)
	if err != nil {
		return err
	}
	free := pool.Free()
	mine := strings.TrimPrefix(nodeGroup.Key(), "/") + "/"
	for _, owner := range pool.Used {
		if strings.HasPrefix(strings.TrimPrefix(strings.ToLower(owner), "/"), mine) {
			free++
		}
	}
	if need > free {
		w.Fail("InsufficientSubnetSize", target,
			"Pre-allocated IPs %d exceeds IPs available %d in Subnet Cidr %s, Subnet Name %s. With Azure CNI each node takes one address and one for each pod that it may run: nodes × (maxPods + 1), and the API server's private endpoint takes one. Take a larger subnet, fewer nodes or a smaller --max-pods.",
			need, free, s.Prefix, s.ID.Name())
	}
	return nil
}

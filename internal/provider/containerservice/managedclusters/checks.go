package managedclusters

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/agentpools"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
)

const (
	maxPools = 100
	// ManagedPrefix and ManagedSubnetPrefix are the network that a cluster makes for itself, as in AKS.
	ManagedPrefix       = "10.224.0.0/12"
	ManagedSubnetPrefix = "10.224.0.0/16"
)

func indexed(i int) string { return fmt.Sprintf("%sagentPoolProfiles[%d]", at, i) }

func (a *admission) nodeGroup() resourceid.ID {
	return resourceid.MustParse("/subscriptions/" + a.w.ID.Subscription() + "/resourceGroups/" + a.props.Str("nodeResourceGroup"))
}

// checkGroup refuses a node resource group that is somebody else's.
func (a *admission) checkGroup(ctx context.Context) error {
	if a.w.Old != nil || !groupRule.MatchString(a.props.Str("nodeResourceGroup")) {
		return nil
	}
	g, err := a.w.Read.Get(ctx, a.nodeGroup().String())
	switch {
	case arm.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case g.Deleting:
		a.w.Fail("ResourceGroupBeingDeleted", at+"nodeResourceGroup", "The node resource group '%s' is being deleted. Wait until it is gone.", g.Name)
	default:
		a.w.Fail("NodeResourceGroupAlreadyExists", at+"nodeResourceGroup", "The node resource group '%s' exists already. The cluster makes its own: take another name (--node-resource-group), or delete that group.", g.Name)
	}
	return nil
}

// checkSubnets checks where pools and endpoint will be: the subnets, that they are of one network, their room,
// and that Services do not use addresses of theirs.
func (a *admission) checkSubnets(ctx context.Context) error {
	w := a.w
	for i := range a.pools {
		a.pools[i].id = shape.PoolID(w.ID, a.pools[i].name)
		if old := a.pools[i].old; old != nil {
			a.pools[i].id = old.ID
		}
	}
	if a.old == nil {
		a.names.Subnet = a.pools[0].props.Str("vnetSubnetID")
		if a.names.Subnet == "" {
			a.names.ManagedNetwork = true
			a.names.Subnet = shape.ManagedSubnet(a.nodeGroup(), a.names.Digits)
		}
	}
	if a.names.ManagedNetwork {
		return a.checkManagedNetwork(ctx)
	}
	subnets, need := map[string]*agentpools.Subnet{}, map[string]int{strings.ToLower(a.names.Subnet): 1}
	targets := map[string]string{}
	network := ""
	for i, p := range a.pools {
		id := p.props.Str("vnetSubnetID")
		target := indexed(i) + ".vnetSubnetID"
		if id == "" {
			w.Fail("InvalidParameter", target, "The agent pools of a cluster are all in subnets of one network: name a subnet here, too.")
			continue
		}
		key := strings.ToLower(id)
		if subnets[key] == nil {
			s, err := agentpools.CheckSubnet(ctx, w, id, target, shape.Region(w.New.Location()), p.old != nil)
			if err != nil {
				return err
			}
			if s == nil {
				continue
			}
			subnets[key], targets[key] = s, target
		}
		parent := subnets[key].ID.Parent().Key()
		if network == "" {
			network = parent
		} else if parent != network {
			w.Fail("InvalidParameter", target, "All agent pools of a cluster must be in subnets of one virtual network.")
		}
	}
	for _, p := range a.after() {
		need[strings.ToLower(p.Str("vnetSubnetID"))] += agentpools.Need(p)
	}
	for key, s := range subnets {
		if err := agentpools.CheckRoom(ctx, w, s, need[key], targets[key], a.nodeGroup()); err != nil {
			return err
		}
	}
	if network != "" && a.old == nil {
		return a.checkOverlap(ctx, network)
	}
	return nil
}

// checkOverlap reports Services' addresses that are also those of a subnet of the network.
func (a *admission) checkOverlap(ctx context.Context, network string) error {
	services, err := netip.ParsePrefix(a.props.Str("networkProfile.serviceCidr"))
	if err != nil {
		return nil //nolint:nilerr // validate has reported it
	}
	subnets, err := a.w.Read.Below(ctx, network, shape.SubnetType)
	if err != nil {
		return err
	}
	for _, s := range subnets {
		if prefix, err := agentpools.SubnetPrefix(s); err == nil && prefix.Overlaps(services) {
			a.w.Fail("ServiceCidrOverlapExistingSubnetsCidr", at+"networkProfile.serviceCidr",
				"The specified service CIDR %s is conflicted with an existing subnet CIDR %s (subnet '%s'). Take a service CIDR outside the network, for example --service-cidr 10.2.0.0/24 --dns-service-ip 10.2.0.10.", services, prefix, s.Name)
		}
	}
	return nil
}

func (a *admission) checkManagedNetwork(ctx context.Context) error {
	prefix := netip.MustParsePrefix(ManagedSubnetPrefix)
	need := 1
	for _, p := range a.after() {
		need += agentpools.Need(p)
	}
	for i, p := range a.pools {
		if id := p.props.Str("vnetSubnetID"); id != "" && !strings.EqualFold(id, a.names.Subnet) {
			a.w.Fail("InvalidParameter", indexed(i)+".vnetSubnetID", "The cluster has a network of its own, which its first agent pool chose by naming no subnet: leave the subnet out here, too.")
		}
	}
	if services, err := netip.ParsePrefix(a.props.Str("networkProfile.serviceCidr")); err == nil && services.Overlaps(netip.MustParsePrefix(ManagedPrefix)) {
		a.w.Fail("ServiceCidrOverlapExistingSubnetsCidr", at+"networkProfile.serviceCidr", "The specified service CIDR %s is conflicted with the network that is made for the cluster, %s. Take another, or a subnet of your own (--vnet-subnet-id).", services, ManagedPrefix)
	}
	subnet := &agentpools.Subnet{ID: resourceid.MustParse(a.names.Subnet), Prefix: prefix}
	return agentpools.CheckRoom(ctx, a.w, subnet, need, at+"agentPoolProfiles", a.nodeGroup())
}

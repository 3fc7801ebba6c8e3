package managedclusters

import (
	"context"
	"sort"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/agentpools"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
)

// view adds what follows from the cluster's names, its pools and its members. The names are
// there from the first answer on, before any of what they name is.
func (t *typ) view(ctx context.Context, r *arm.Resource, doc map[string]any) error {
	c, err := shape.ClusterOf(r)
	if err != nil {
		return err
	}
	props := shape.Doc(doc).Doc("properties")
	props.Set("powerState", map[string]any{"code": powerState(c)})
	props.Set("maxAgentPools", maxPools)
	props.Set("azurePortalFQDN", c.PortalFQDN())
	if name := c.PublicFQDN(); name != "" {
		props.Set("fqdn", name)
	}
	if name := c.PrivateFQDN(); name != "" {
		props.Set("privateFQDN", name)
	}
	props.Set("privateLinkResources", []any{privateLinkResource(r.ParsedID(), r.State == "Succeeded")})
	if err := t.viewPools(ctx, c, props); err != nil {
		return err
	}
	rs := t.Read()
	identity, err := rs.Get(ctx, c.KubeletIdentity())
	switch {
	case err == nil:
		p := shape.Doc(identity.Properties())
		props.Set("identityProfile.kubeletidentity", map[string]any{"resourceId": identity.ID, "clientId": p.Str("clientId"), "objectId": p.Str("principalId")})
	case !arm.IsNotFound(err):
		return err
	}
	address, err := rs.Get(ctx, c.OutboundAddress())
	switch {
	case err == nil:
		props.Set("networkProfile.loadBalancerProfile.effectiveOutboundIPs", []any{map[string]any{"id": address.ID}})
	case !arm.IsNotFound(err):
		return err
	}
	return nil
}

func powerState(c shape.Cluster) string {
	if c.Stopped() {
		return "Stopped"
	}
	return "Running"
}

// viewPools embeds the pools, in the order of their making.
func (t *typ) viewPools(ctx context.Context, c shape.Cluster, props shape.Doc) error {
	pools, err := t.Read().Below(ctx, c.ID, shape.PoolType)
	if err != nil {
		return err
	}
	sort.SliceStable(pools, func(i, j int) bool { return pools[i].CreatedAt.Before(pools[j].CreatedAt) })
	list := []any{}
	for _, r := range pools {
		p := shape.Doc(shape.Clone(r.Properties()).(map[string]any))
		p.Set("name", r.Name)
		agentpools.Show(p, r, c)
		list = append(list, map[string]any(p))
	}
	props.Set("agentPoolProfiles", list)
	return nil
}

// privateLinkResource is what private endpoints of others lead to. Its id is shown once the cluster is made.
func privateLinkResource(id resourceid.ID, withID bool) map[string]any {
	out := map[string]any{
		"name": "management", "type": shape.ClusterType + "/privateLinkResources",
		"groupId": "management", "requiredMembers": []any{"management"},
	}
	if withID {
		// AKS writes the group's segment of this id in lower case.
		out["id"] = strings.Replace(id.String(), "/resourceGroups/", "/resourcegroups/", 1) + "/privateLinkResources/management"
	}
	return out
}

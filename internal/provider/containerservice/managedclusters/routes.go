package managedclusters

import (
	"context"
	"encoding/base64"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
)

// Routes are the operations below a cluster that are no resources of their own.
func Routes(d shape.Deps) []arm.Route {
	t := &typ{d}
	const cluster = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + shape.ClusterType + "/{cluster}"
	const profiles = shape.ClusterType + "/accessProfiles"
	return []arm.Route{
		{Method: "GET", Pattern: cluster + "/privateLinkResources", Scope: cluster, Permission: shape.ClusterType + "/privateLinkResources/read", Serve: t.listLinkResources},
		{Method: "GET", Pattern: cluster + "/privateLinkResources/{name}", Scope: cluster, Permission: shape.ClusterType + "/privateLinkResources/read", Serve: t.getLinkResource},
		{Method: "GET", Pattern: cluster + "/accessProfiles/{role}", Scope: cluster, Permission: profiles + "/listCredential/action", Serve: t.accessProfile},
		{Method: "POST", Pattern: cluster + "/accessProfiles/{role}/listCredential", Scope: cluster, Permission: profiles + "/listCredential/action", Serve: t.accessProfile},
	}
}

func (t *typ) clusterOf(ctx context.Context, r *arm.RouteRequest) (*arm.Resource, error) {
	group := resourceid.MustParse("/subscriptions/" + r.Params["subscription"] + "/resourceGroups/" + r.Params["group"])
	return r.Read.Get(ctx, group.Resource(shape.ClusterType, r.Params["cluster"]).String())
}

func (t *typ) listLinkResources(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	c, err := t.clusterOf(ctx, r)
	if err != nil {
		return nil, err
	}
	return &arm.Response{Body: map[string]any{"value": []any{privateLinkResource(c.ParsedID(), true)}}}, nil
}

func (t *typ) getLinkResource(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	c, err := t.clusterOf(ctx, r)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(r.Params["name"], "management") {
		return nil, arm.NotFound("ResourceNotFound", "The private link resource '%s' is unknown. Clusters have one: management.", r.Params["name"])
	}
	return &arm.Response{Body: privateLinkResource(c.ParsedID(), true)}, nil
}

// accessProfile is how credentials were read before listClusterUserCredential.
func (t *typ) accessProfile(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	c, err := t.clusterOf(ctx, r)
	if err != nil {
		return nil, err
	}
	role := ""
	for _, known := range []string{"clusterUser", "clusterAdmin"} {
		if strings.EqualFold(known, r.Params["role"]) {
			role = known
		}
	}
	if role == "" {
		return nil, arm.NotFound("ResourceNotFound", "The access profile '%s' is unknown. Clusters have clusterUser and clusterAdmin.", r.Params["role"])
	}
	text, err := t.kubeconfig(ctx, c, role, false)
	if err != nil {
		return nil, err
	}
	return &arm.Response{Body: map[string]any{
		"id": c.ID + "/accessProfiles/" + role, "name": role, "type": shape.ClusterType + "/accessProfiles", "location": c.Location(),
		"properties": map[string]any{"kubeConfig": base64.StdEncoding.EncodeToString(text)},
	}}, nil
}

// Package locations answers which versions of Kubernetes a region has, and which
// ones a cluster or a pool can go to.
package locations

import (
	"context"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
)

const (
	region  = "/subscriptions/{subscription}/providers/Microsoft.ContainerService/locations/{location}"
	cluster = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + shape.ClusterType + "/{cluster}"
	pool    = cluster + "/agentPools/{pool}"
)

// Routes lists the operations.
func Routes(d shape.Deps) []arm.Route {
	v := versions{d}
	const ns = "Microsoft.ContainerService/"
	return []arm.Route{
		{Method: "GET", Pattern: region + "/kubernetesVersions", Permission: ns + "locations/kubernetesVersions/read", Serve: v.kubernetesVersions},
		{Method: "GET", Pattern: region + "/orchestrators", Permission: ns + "locations/orchestrators/read", Serve: v.orchestrators},
		{Method: "GET", Pattern: cluster + "/upgradeProfiles/default", Scope: cluster, Permission: shape.ClusterType + "/upgradeProfiles/read", Serve: v.clusterUpgrades},
		{Method: "GET", Pattern: pool + "/upgradeProfiles/default", Scope: pool, Permission: shape.PoolType + "/upgradeProfiles/read", Serve: v.poolUpgrades},
		{Method: "GET", Pattern: cluster + "/availableAgentPoolVersions", Scope: cluster, Permission: shape.ClusterType + "/availableAgentPoolVersions/read", Serve: v.poolVersions},
	}
}

type versions struct{ shape.Deps }

func minor(version string) string {
	parts := strings.Split(version, ".")
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// kubernetesVersions groups patches by minor version:
// https://learn.microsoft.com/rest/api/aks/managed-clusters/list-kubernetes-versions
func (v versions) kubernetesVersions(context.Context, *arm.RouteRequest) (*arm.Response, error) {
	values, byMinor := []any{}, map[string]map[string]any{}
	for _, version := range v.Versions {
		entry := byMinor[minor(version)]
		if entry == nil {
			entry = map[string]any{
				"version": minor(version), "isDefault": minor(version) == minor(v.Versions.Default()), "isPreview": nil,
				"capabilities": map[string]any{"supportPlan": []any{"KubernetesOfficial"}}, "patchVersions": map[string]any{},
			}
			byMinor[minor(version)] = entry
			values = append(values, entry)
		}
		entry["patchVersions"].(map[string]any)[version] = map[string]any{"upgrades": v.Versions.Upgrades(version)}
	}
	return &arm.Response{Body: map[string]any{"values": values}}, nil
}

// orchestrators is the same in the older form.
func (v versions) orchestrators(_ context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	list := []any{}
	for _, version := range v.Versions {
		entry := map[string]any{"orchestratorType": "Kubernetes", "orchestratorVersion": version, "upgrades": upgrades(v.Versions, version, "orchestratorType", "orchestratorVersion")}
		if version == v.Versions.Default() {
			entry["default"] = true
		}
		list = append(list, entry)
	}
	return &arm.Response{Body: map[string]any{
		"id":   "/subscriptions/" + r.Params["subscription"] + "/providers/Microsoft.ContainerService/locations/" + r.Params["location"] + "/orchestrators",
		"name": "default", "type": "Microsoft.ContainerService/locations/orchestrators", "properties": map[string]any{"orchestrators": list},
	}}, nil
}

func upgrades(all shape.Versions, from, typeField, versionField string) []any {
	out := []any{}
	for _, u := range all.Upgrades(from) {
		entry := map[string]any{versionField: u}
		if typeField != "" {
			entry[typeField] = "Kubernetes"
		}
		out = append(out, entry)
	}
	return out
}

func (v versions) read(ctx context.Context, r *arm.RouteRequest) (shape.Cluster, []*arm.Resource, error) {
	id := resourceid.MustParse("/subscriptions/"+r.Params["subscription"]+"/resourceGroups/"+r.Params["group"]).Resource(shape.ClusterType, r.Params["cluster"])
	doc, err := r.Read.Get(ctx, id.String())
	if err != nil {
		return shape.Cluster{}, nil, err
	}
	c, err := shape.ClusterOf(doc)
	if err != nil {
		return c, nil, err
	}
	pools, err := r.Read.Below(ctx, doc.ID, shape.PoolType)
	return c, pools, err
}

func (v versions) profile(name, version string) map[string]any {
	out := map[string]any{"kubernetesVersion": version, "osType": "Linux", "upgrades": upgrades(v.Versions, version, "", "kubernetesVersion")}
	if name != "" {
		out["name"] = name
	}
	return out
}

func (v versions) clusterUpgrades(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	c, pools, err := v.read(ctx, r)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, p := range pools {
		list = append(list, v.profile(p.Name, shape.PoolOf(p).Props.Str("currentOrchestratorVersion")))
	}
	return &arm.Response{Body: map[string]any{
		"id": c.ID + "/upgradeprofiles/default", "name": "default", "type": shape.ClusterType + "/upgradeprofiles",
		"properties": map[string]any{"controlPlaneProfile": v.profile("master", c.Props.Str("currentKubernetesVersion")), "agentPoolProfiles": list},
	}}, nil
}

func (v versions) poolUpgrades(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	c, pools, err := v.read(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, p := range pools {
		if !strings.EqualFold(p.Name, r.Params["pool"]) {
			continue
		}
		version := shape.PoolOf(p).Props.Str("currentOrchestratorVersion")
		list := []any{}
		for _, u := range v.Versions.Upgrades(version) {
			if shape.Compare(u, c.Props.Str("currentKubernetesVersion")) <= 0 {
				list = append(list, map[string]any{"kubernetesVersion": u})
			}
		}
		return &arm.Response{Body: map[string]any{
			"id": p.ID + "/upgradeProfiles/default", "name": "default", "type": shape.PoolType + "/upgradeProfiles",
			"properties": map[string]any{"kubernetesVersion": version, "osType": "Linux", "latestNodeImageVersion": "cloister-node-v" + version, "upgrades": list},
		}}, nil
	}
	return nil, arm.NotFound("ResourceNotFound", "The cluster '%s' has no agent pool '%s'.", c.Name, r.Params["pool"])
}

func (v versions) poolVersions(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	c, _, err := v.read(ctx, r)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for i, version := range v.Versions {
		if shape.Compare(version, c.Props.Str("currentKubernetesVersion")) <= 0 {
			list = append(list, map[string]any{"kubernetesVersion": version, "default": i == 0, "isPreview": nil})
		}
	}
	return &arm.Response{Body: map[string]any{
		"id": c.ID + "/availableAgentPoolVersions", "name": "default", "type": shape.ClusterType + "/availableAgentPoolVersions",
		"properties": map[string]any{"agentPoolVersions": list},
	}}, nil
}

package shape

import (
	"context"
	"encoding/json"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// ClusterWatches lead what happens to a cluster's machines and members to the cluster.
func ClusterWatches(s store.Reader) []arm.Watch {
	byStatus := func(ctx context.Context, e store.Event) []string {
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(spec.SpecKey(e.Key), spec.ClusterPrefix), spec.NodePrefix), "/")
		return one(clusterNamed(ctx, s, name))
	}
	return []arm.Watch{
		{Prefix: spec.StatusKey(spec.ClusterPrefix), Map: byStatus},
		{Prefix: spec.StatusKey(spec.NodePrefix), Map: byStatus},
		{Prefix: spec.StatusKey(spec.WorkloadPrefix), Map: func(ctx context.Context, e store.Event) []string {
			// While a workload runs, the cluster's and the node's status tell what counts.
			if name := clusterOfWorkload(strings.TrimPrefix(spec.SpecKey(e.Key), spec.WorkloadPrefix)); e.Deleted && name != "" {
				return one(clusterNamed(ctx, s, name))
			}
			return nil
		}},
		{Prefix: spec.EndpointPrefix, Map: func(ctx context.Context, e store.Event) []string {
			return one(managerOf(ctx, s, strings.TrimPrefix(e.Key, spec.EndpointPrefix)))
		}},
		{Prefix: "/res/", Map: func(ctx context.Context, e store.Event) []string {
			path := strings.TrimPrefix(e.Key, "/res/")
			if id, _, ok := strings.Cut(path, "/agentpools/"); ok {
				return []string{"/" + id}
			}
			var r arm.Resource
			if json.Unmarshal(e.Value, &r) == nil && r.ManagedBy != "" {
				return []string{r.ManagedBy}
			}
			return one(managerOf(ctx, s, path)) // e.Value of what is gone may not be known
		}},
	}
}

// PoolWatches lead what happens to nodes to their pool.
func PoolWatches(s store.Reader) []arm.Watch {
	return []arm.Watch{{Prefix: spec.StatusKey(spec.NodePrefix), Map: func(ctx context.Context, e store.Event) []string {
		var n spec.Node
		if _, err := s.Get(ctx, spec.SpecKey(e.Key), &n); err != nil {
			return nil
		}
		cluster := clusterNamed(ctx, s, n.Cluster)
		if cluster == "" {
			return nil
		}
		return []string{cluster + "/agentPools/" + n.Pool}
	}}}
}

// clusterNamed is the id of the cluster with this short name; empty if it is not known (any more): a timer finds it then.
func clusterNamed(ctx context.Context, s store.Reader, name string) string {
	var c spec.Cluster
	if _, err := s.Get(ctx, spec.ClusterKey(name), &c); err == nil {
		return c.Resource
	}
	// The spec goes first when a cluster is deleted.
	docs, _, err := s.List(ctx, "/res/subscriptions/")
	if err != nil {
		return ""
	}
	for _, doc := range docs {
		if !strings.Contains(doc.Key, "/managedclusters/") {
			continue
		}
		r := &arm.Resource{}
		if json.Unmarshal(doc.Value, r) != nil || !strings.EqualFold(r.Type, ClusterType) {
			continue
		}
		if n, err := NamesOf(r); err == nil && n.Cluster == name {
			return r.ID
		}
	}
	return ""
}

// managerOf is the cluster whose node resource group the path (subscriptions/.., lower case) is in; empty if it is in none.
func managerOf(ctx context.Context, s store.Reader, path string) string {
	parts := strings.SplitN(path, "/", 5)
	if len(parts) < 4 || parts[0] != "subscriptions" || parts[2] != "resourcegroups" {
		return ""
	}
	var group arm.Resource
	if _, err := s.Get(ctx, "/res/"+strings.Join(parts[:4], "/"), &group); err != nil {
		return ""
	}
	if !strings.Contains(strings.ToLower(group.ManagedBy), "/microsoft.containerservice/managedclusters/") {
		return ""
	}
	return group.ManagedBy
}

func one(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

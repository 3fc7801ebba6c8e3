package agentpools

import (
	"context"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

// Show adds what is computed to a pool's properties. A pool without an operation of
// its own is where its cluster is: its cluster's operation works on it.
func Show(p shape.Doc, pool *arm.Resource, c shape.Cluster) {
	state := pool.State
	if pool.Operation == "" && c.Operation != "" && !pool.Deleting {
		state = c.State
	}
	if pool.Operation == "" && c.Operation == "" && c.State == "Failed" {
		state = c.State
	}
	p.Set("provisioningState", state)
	power := "Running"
	if c.Stopped() {
		power = "Stopped"
	}
	p.Set("powerState", map[string]any{"code": power})
	p.Set("nodeImageVersion", "cloister-node-v"+p.Str("currentOrchestratorVersion"))
	if p.Str("vnetSubnetID") == "" && !c.ManagedNetwork {
		p.Set("vnetSubnetID", c.Subnet)
	}
}

func (t *typ) view(ctx context.Context, r *arm.Resource, doc map[string]any) error {
	cluster, err := t.cluster(ctx, r)
	if err != nil {
		return err
	}
	Show(shape.Doc(doc).Doc("properties"), r, cluster)
	return nil
}

func (t *typ) cluster(ctx context.Context, r *arm.Resource) (shape.Cluster, error) {
	doc, err := t.Read().Get(ctx, shape.PoolOf(r).ClusterID())
	if err != nil {
		return shape.Cluster{}, err
	}
	return shape.ClusterOf(doc)
}

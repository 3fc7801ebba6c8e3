package managedclusters

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/provider/containerservice/agentpools"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// teardown takes a cluster away: machines first, then what they used, then the node resource group, and the identity last.
func (t *typ) teardown(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	c, err := shape.ClusterOf(r)
	if err != nil {
		return arm.Progress{}, err
	}
	left, err := agentpools.Teardown(ctx, t.Deps, c)
	if err != nil {
		return arm.Progress{}, err
	}
	if err := t.removeSpecs(ctx, c); err != nil {
		return arm.Progress{}, err
	}
	if left > 0 {
		return arm.Progress{Percent: 20, Note: fmt.Sprintf("%d nodes to end", left)}, nil
	}
	running, err := t.controlPlaneRuns(ctx, c)
	if err != nil {
		return arm.Progress{}, err
	}
	if running {
		return arm.Progress{Percent: 40, Note: "the API server's end"}, nil
	}
	former, _ := c.Private[formerZone].(string)
	for _, zone := range []string{c.PrivateZone(), former} {
		if zone == "" || len(ownZone(c, zone)) > 0 {
			continue // the cluster's own zone goes with the node resource group
		}
		gone, err := t.leaveZone(ctx, c, zone)
		if err != nil {
			return arm.Progress{}, err
		}
		if !gone {
			return arm.Progress{Percent: 50, Note: "the private name's end"}, nil
		}
	}
	gone, err := t.removeGroup(ctx, c)
	if err != nil {
		return arm.Progress{}, err
	}
	if !gone {
		return arm.Progress{Percent: 60, Note: "the node resource group's end"}, nil
	}
	tx := &store.Tx{}
	if err := identity.RemoveManagedIdentity(ctx, t.Store, tx, c.ID); err != nil {
		return arm.Progress{}, err
	}
	if len(tx.Changes) > 0 {
		if _, err := t.Store.Commit(ctx, tx); err != nil {
			return arm.Progress{}, fmt.Errorf("identity of the cluster: %w", err)
		}
	}
	return arm.Progress{Done: true, Percent: 100}, nil
}

// removeSpecs takes away what the control plane is made of, and the public name.
func (t *typ) removeSpecs(ctx context.Context, c shape.Cluster) error {
	name := c.Names.Cluster
	tx := (&store.Tx{}).Delete(spec.ClusterKey(name))
	for _, public := range c.PublicNames() {
		tx.Delete(publicNameKey(public))
	}
	for _, change := range tx.Changes {
		_, err := t.Store.Get(ctx, change.Key, nil)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = t.Store.Commit(ctx, tx) // one of them is there: take all
		return err
	}
	return nil
}

// removeGroup deletes the node resource group, if it is the cluster's.
func (t *typ) removeGroup(ctx context.Context, c shape.Cluster) (bool, error) {
	g, err := t.Read().Get(ctx, c.NodeGroup().String())
	if arm.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if !strings.EqualFold(g.ManagedBy, c.ID) {
		return true, nil
	}
	return t.remove(ctx, g.ID)
}

// controlPlaneRuns tells whether anything reports of the control plane: the cluster's status, or one of its workloads.
func (t *typ) controlPlaneRuns(ctx context.Context, c shape.Cluster) (bool, error) {
	keys := []string{spec.StatusKey(spec.ClusterKey(c.Names.Cluster))}
	for _, w := range shape.ControlPlaneWorkloads(c.Names.Cluster) {
		keys = append(keys, spec.StatusKey(spec.WorkloadKey(w)))
	}
	for _, key := range keys {
		_, err := t.Store.Get(ctx, key, nil)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}

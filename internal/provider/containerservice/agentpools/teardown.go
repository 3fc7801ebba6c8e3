package agentpools

import (
	"context"
	"fmt"
	"slices"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// Teardown ends all nodes of a cluster that goes away, without draining them, and gives their addresses back. It
// returns how many still run. Called again it goes on; 0 says that nothing is left.
func Teardown(ctx context.Context, d shape.Deps, c shape.Cluster) (left int, err error) {
	nodes, err := list(ctx, d.Store, c.Names.Cluster, "")
	if err != nil {
		return 0, err
	}
	var all []*node
	for _, n := range nodes {
		all = append(all, n)
	}
	for some := range slices.Chunk(all, batch) {
		tx := &store.Tx{}
		for _, n := range some {
			tx.Delete(spec.NodeKey(n.Cluster, n.Name))
		}
		if _, err := d.Store.Commit(ctx, tx); err != nil {
			return 0, fmt.Errorf("nodes of %s: %w", c.Name, err)
		}
	}
	for _, prefix := range []string{spec.NodeKey(c.Names.Cluster, ""), spec.WorkloadKey(shape.NodeWorkload(c.Names.Cluster, ""))} {
		running, _, err := d.Store.List(ctx, spec.StatusKey(prefix))
		if err != nil || len(running) > 0 {
			return len(running), err
		}
	}
	return 0, releaseAll(ctx, d, c)
}

// releaseAll removes the interfaces of the cluster's scale sets, and gives their addresses back. Interfaces are
// found by their names: those of nodes whose specs are gone, too.
func releaseAll(ctx context.Context, d shape.Deps, c shape.Cluster) error {
	prefix := spec.NICKey(c.NodeGroup().Key() + "/providers/microsoft.compute/virtualmachinescalesets/")
	docs, _, err := d.Store.List(ctx, prefix)
	if err != nil {
		return err
	}
	bySubnet := map[string][]spec.NIC{}
	for _, doc := range docs {
		nic, err := decode[spec.NIC](doc)
		if err != nil {
			return err
		}
		bySubnet[nic.Subnet] = append(bySubnet[nic.Subnet], nic)
	}
	for subnet, nics := range bySubnet {
		for some := range slices.Chunk(nics, batch) {
			if err := release(ctx, d, subnet, some); err != nil {
				return err
			}
		}
	}
	return nil
}

func release(ctx context.Context, d shape.Deps, subnet string, nics []spec.NIC) error {
	tx := &store.Tx{}
	for _, nic := range nics {
		tx.Delete(spec.NICKey(nic.Name))
	}
	doc, err := d.Read().Get(ctx, subnet)
	switch {
	case arm.IsNotFound(err): // the subnet is gone, and its addresses with it
	case err != nil:
		return err
	default:
		prefix, err := SubnetPrefix(doc)
		if err != nil {
			return err
		}
		addresses, err := ipam.Load(ctx, d.Store, resourceid.MustParse(subnet).Key(), prefix, Reserved)
		if err != nil {
			return err
		}
		for _, nic := range nics {
			addresses.Release(nic.Name)
		}
		addresses.Save(tx)
	}
	if _, err := d.Store.Commit(ctx, tx); err != nil {
		return fmt.Errorf("interfaces in %s: %w", subnet, err)
	}
	return nil
}

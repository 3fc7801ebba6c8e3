package agentpools

import (
	"context"
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

type typ struct{ shape.Deps }

// New is the type Microsoft.ContainerService/managedClusters/agentPools.
func New(d shape.Deps) *arm.Type {
	t := &typ{d}
	return &arm.Type{
		Name: shape.PoolType, APIVersions: shape.APIVersions, Names: Names, NameRule: NameRule, Async: true,
		BusyCode: "OperationNotAllowed",
		Admit:    t.admit, Release: t.release, Reconcile: t.reconcile, Remove: t.remove, View: t.view,
		Watches: shape.PoolWatches(d.Store),
	}
}

// admit checks a pool that is written by itself. Pools that come with their cluster are admitted there.
func (t *typ) admit(ctx context.Context, w *arm.Write) error {
	parent, err := t.parent(ctx, w)
	if err != nil {
		return err
	}
	c, err := shape.ClusterOf(parent)
	if err != nil {
		return err
	}
	if c.Stopped() {
		return arm.Conflict("OperationNotAllowed", "The cluster '%s' is stopped. Start it before you change its pools: `az aks start`.", c.Name)
	}
	p := shape.Doc(w.New.Properties())
	if !CheckKinds(w, p, "properties.") {
		return nil
	}
	var old shape.Doc
	if w.Old != nil {
		old = w.Old.Properties()
	}
	Complete(p, old, c.Props.Str("kubernetesVersion"))
	if w.Old == nil && p.Str("vnetSubnetID") == "" && !c.ManagedNetwork {
		p.Set("vnetSubnetID", c.Subnet)
	}
	Validate(w, w.ID.Name(), p, old, "properties.", c.Props.Str("currentKubernetesVersion"), t.Versions)
	w.Space = int64(p.Int("count")-old.Int("count")) * shape.NodeSpace
	siblings, err := t.siblings(ctx, w, c)
	if err != nil {
		return err
	}
	if !strings.EqualFold(p.Str("mode"), "System") && !hasSystem(siblings) {
		w.Fail("OperationNotAllowed", "properties.mode", "The agent pool '%s' is the cluster's last one with the mode System. Make another one first.", w.ID.Name())
	}
	if n := len(siblings) + 1; n > maxPerGroup {
		w.Fail("InvalidParameter", "name", "A cluster has at most %d agent pools.", maxPerGroup)
	}
	return t.checkPlace(ctx, w, c, p, siblings)
}

// parent reads the cluster, and refuses to change a pool while the cluster is being changed. The condition on its revision
// goes into the transaction: two writes that see each other too late cannot both pass.
func (t *typ) parent(ctx context.Context, w *arm.Write) (*arm.Resource, error) {
	parent, err := w.Read.Get(ctx, w.ID.Parent().String())
	if arm.IsNotFound(err) {
		return nil, arm.NotFound("ParentResourceNotFound", "The cluster '%s' does not exist. Create it first.", w.ID.Parent().Name())
	}
	if err != nil {
		return nil, err
	}
	if parent.Operation != "" || parent.Deleting {
		return nil, arm.Conflict("OperationNotAllowed", "Operation is not allowed: another operation (%s) is in progress on the cluster '%s'. Wait until it ends: `az aks wait`.", parent.State, parent.Name)
	}
	w.Tx.Expect(arm.Key(parent.ID), parent.Rev)
	return parent, nil
}

func (t *typ) siblings(ctx context.Context, w *arm.Write, c shape.Cluster) ([]shape.Pool, error) {
	docs, err := w.Read.Below(ctx, c.ID, shape.PoolType)
	if err != nil {
		return nil, err
	}
	var out []shape.Pool
	for _, r := range docs {
		if !strings.EqualFold(r.Name, w.ID.Name()) && !r.Deleting {
			out = append(out, shape.PoolOf(r))
		}
	}
	return out, nil
}

func hasSystem(pools []shape.Pool) bool {
	for _, p := range pools {
		if p.System() {
			return true
		}
	}
	return false
}

// checkPlace checks the pool's subnet, and that it has room for the pool beside its siblings.
func (t *typ) checkPlace(ctx context.Context, w *arm.Write, c shape.Cluster, p shape.Doc, siblings []shape.Pool) error {
	id := p.Str("vnetSubnetID")
	if c.ManagedNetwork {
		if id != "" && !strings.EqualFold(id, c.Subnet) {
			w.Fail("InvalidParameter", "properties.vnetSubnetID", "The cluster has a network of its own: leave the subnet out.")
			return nil
		}
		id = c.Subnet
	}
	s, err := CheckSubnet(ctx, w, id, "properties.vnetSubnetID", c.Region(), w.Old != nil || c.ManagedNetwork)
	if err != nil || s == nil {
		return err
	}
	if !strings.HasPrefix(strings.ToLower(c.Subnet), s.ID.Parent().Key()+"/") {
		w.Fail("InvalidParameter", "properties.vnetSubnetID", "All agent pools of a cluster must be in subnets of one virtual network.")
	}
	need := Need(p)
	if strings.EqualFold(id, c.Subnet) {
		need++ // the private endpoint
	}
	for _, o := range siblings {
		if strings.EqualFold(o.SubnetID(c), id) {
			need += Need(o.Props)
		}
	}
	return CheckRoom(ctx, w, s, need, "properties.vnetSubnetID", c.NodeGroup())
}

// release refuses to delete the last system pool, unless the whole cluster goes.
func (t *typ) release(ctx context.Context, w *arm.Write) error {
	if w.Cascade {
		return nil
	}
	parent, err := t.parent(ctx, w)
	if err != nil {
		return err
	}
	c, err := shape.ClusterOf(parent)
	if err != nil {
		return err
	}
	siblings, err := t.siblings(ctx, w, c)
	if err != nil {
		return err
	}
	if !hasSystem(siblings) {
		return arm.BadRequest("OperationNotAllowed", "The agent pool '%s' is the cluster's last one with the mode System, and cannot be deleted. Make another one first, or delete the cluster.", w.ID.Name())
	}
	return nil
}

// reconcile works on the pool while an operation of its own runs; the cluster's operations see to its pools themselves.
func (t *typ) reconcile(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	if r.Operation == "" {
		return arm.Progress{Done: true}, nil
	}
	c, err := t.cluster(ctx, r)
	if err != nil {
		return arm.Progress{}, err
	}
	return progress(Reconcile(ctx, t.Deps, c, shape.PoolOf(r)))
}

func progress(s State, err error) (arm.Progress, error) {
	if err != nil {
		return arm.Progress{}, err
	}
	p := arm.Progress{Done: s.Done, Percent: 10, Note: s.Note}
	if s.Wanted > 0 {
		p.Percent += float64(89 * s.Ready / s.Wanted)
	}
	if p.Done {
		p.Percent = 100
	}
	return p, nil
}

// remove drains the pool's nodes and takes its scale set away. When the cluster goes, it sees to all of that itself.
func (t *typ) remove(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	c, err := t.cluster(ctx, r)
	if arm.IsNotFound(err) || err == nil && c.Deleting {
		return arm.Progress{Done: true, Percent: 100}, nil
	}
	if err != nil {
		return arm.Progress{}, err
	}
	pool := shape.Pool{Resource: r, Props: shape.Clone(r.Properties()).(map[string]any)}
	pool.Props.Set("count", 0)
	s, err := Reconcile(ctx, t.Deps, c, pool)
	if err != nil || !s.Done {
		return progress(s, err)
	}
	gone, err := t.Kernel.Delete(ctx, arm.System, c.ScaleSet(r.Name))
	if err != nil {
		return arm.Progress{}, err
	}
	return arm.Progress{Done: gone, Percent: 95, Note: "the scale set's end", After: time.Second}, nil
}

package managedclusters

import (
	"context"
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/agentpools"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/store"
)

// admission is one create or update of a cluster on its way.
type admission struct {
	shape.Deps
	w     *arm.Write
	props shape.Doc
	names shape.Names
	old   shape.Doc // properties; nil on create
	have  []*arm.Resource
	pools []poolChange
}

func (t *typ) admit(ctx context.Context, w *arm.Write) error {
	a := &admission{Deps: t.Deps, w: w, props: w.New.Properties()}
	if !shape.CheckKinds(w, a.props, at, kinds) {
		return nil
	}
	if w.Old != nil {
		a.old = shape.Doc(shape.Clone(w.Old.Properties()).(map[string]any))
		if stopped, _ := w.Old.Private["stopped"].(bool); stopped {
			return arm.Conflict("OperationNotAllowed", "The cluster '%s' is stopped. Start it before you change it: `az aks start`.", w.ID.Name())
		}
	}
	if err := a.readPools(ctx); err != nil {
		return err
	}
	profiles := a.takeProfiles()
	var oldBody map[string]any
	if w.Old != nil {
		oldBody = w.Old.Body
	}
	complete(w.ID, w.New.Body, oldBody, t.Versions)
	if a.old != nil {
		a.checkFixed()
	}
	validate(w, a.props, t.Versions)
	if err := a.chooseNames(); err != nil {
		return err
	}
	if !a.readProfiles(profiles) {
		return nil
	}
	w.Space = a.space()
	for _, check := range []func(context.Context) error{a.checkGroup, a.checkZone, a.checkSubnets, a.setIdentity} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	if len(w.Problems) > 0 {
		return nil
	}
	for _, p := range a.pools {
		p.put(w.Tx)
	}
	if err := a.rememberZone(); err != nil {
		return err
	}
	return a.names.Store(w.New)
}

// space is what the write takes of the disk: a new control plane, and the nodes that are more than there were.
func (a *admission) space() int64 {
	nodes, space := 0, int64(0)
	for _, p := range a.after() {
		nodes += p.Int("count")
	}
	for _, r := range a.have {
		nodes -= shape.PoolOf(r).Count()
	}
	if a.old == nil {
		space = shape.ControlPlaneSpace
	}
	return space + int64(nodes)*shape.NodeSpace
}

// chooseNames makes the cluster's names on create, and carries what is remembered over on update.
func (a *admission) chooseNames() (err error) {
	if a.w.Old == nil {
		a.names, err = shape.Choose()
		return err
	}
	a.w.New.Private = map[string]any{}
	for k, v := range a.w.Old.Private {
		a.w.New.Private[k] = v
	}
	a.names, err = shape.NamesOf(a.w.Old)
	return err
}

// readPools reads the pools that there are, and refuses to change a cluster while one of them is being changed.
func (a *admission) readPools(ctx context.Context) (err error) {
	if a.w.Old == nil {
		return nil
	}
	if a.have, err = a.w.Read.Below(ctx, a.w.ID.String(), shape.PoolType); err != nil {
		return err
	}
	for _, p := range a.have {
		if p.Operation != "" {
			return arm.Conflict("OperationNotAllowed", "Operation is not allowed: another operation is in progress on agent pool '%s' of the cluster. Wait until it ends: `az aks nodepool wait`.", p.Name)
		}
	}
	return nil
}

// takeProfiles takes the pools out of the document: they are documents of their own.
func (a *admission) takeProfiles() []any {
	list := a.props.List("agentPoolProfiles")
	a.props.Remove("agentPoolProfiles")
	return list
}

// readProfiles completes and checks the pools of the request, and tells whether they are sound enough for further checks.
func (a *admission) readProfiles(list []any) bool {
	w := a.w
	if a.old == nil && len(list) == 0 {
		w.Fail("InvalidParameter", at+"agentPoolProfiles", "A cluster needs at least one agent pool with the mode System.")
		return false
	}
	seen, system := map[string]bool{}, false
	for i, v := range list {
		target := indexed(i)
		m, ok := v.(map[string]any)
		if !ok {
			w.Fail("InvalidParameter", target, "An agent pool must be an object.")
			return false
		}
		p := shape.Doc(m)
		name := p.Str("name")
		if !agentpools.CheckKinds(w, p, target+".") {
			return false
		}
		if seen[strings.ToLower(name)] {
			w.Fail("InvalidParameter", target+".name", "There are two agent pools with the name '%s'.", name)
		}
		seen[strings.ToLower(name)] = true
		c := poolChange{name: name, props: p, target: target + ".", old: a.existing(name)}
		var old shape.Doc
		if c.old != nil {
			old = c.old.Properties()
		}
		if a.old == nil && i == 0 && p.Str("mode") == "" {
			p.Set("mode", "System") // as AKS did before pools had modes
		}
		agentpools.Complete(p, old, a.props.Str("kubernetesVersion"))
		agentpools.Validate(w, name, p, old, c.target, a.props.Str("currentKubernetesVersion"), a.Versions)
		a.pools = append(a.pools, c)
	}
	for _, p := range a.after() {
		system = system || strings.EqualFold(p.Str("mode"), "System")
	}
	if !system {
		w.Fail("InvalidParameter", at+"agentPoolProfiles", "A cluster needs at least one agent pool with the mode System.")
	}
	if n := len(a.after()); n > maxPools {
		w.Fail("InvalidParameter", at+"agentPoolProfiles", "A cluster has at most %d agent pools, and not %d.", maxPools, n)
	}
	return true
}

func (a *admission) existing(name string) *arm.Resource {
	for _, r := range a.have {
		if strings.EqualFold(r.Name, name) {
			return r
		}
	}
	return nil
}

// after is every pool as it will be: those of the request, and those that it does not name.
func (a *admission) after() []shape.Doc {
	var out []shape.Doc
	named := map[string]bool{}
	for _, c := range a.pools {
		named[strings.ToLower(c.name)] = true
		out = append(out, c.props)
	}
	for _, r := range a.have {
		if !named[strings.ToLower(r.Name)] {
			out = append(out, r.Properties())
		}
	}
	return out
}

// poolChange is a pool of the request.
type poolChange struct {
	name   string
	id     string
	target string
	props  shape.Doc
	old    *arm.Resource
}

// put adds the pool's document to the transaction.
func (c poolChange) put(tx *store.Tx) {
	now := time.Now().UTC()
	r := &arm.Resource{ID: c.id, Type: shape.PoolType, Name: c.name, CreatedAt: now}
	if c.old != nil {
		keep := *c.old
		r = &keep
	}
	r.State, r.Error, r.ChangedAt = arm.StateSucceeded, nil, now // the cluster's operation does its work, see agentpools.Show
	r.Body = map[string]any{"properties": map[string]any(c.props)}
	arm.Put(tx, r)
}

package agentpools

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

const (
	sub       = "/subscriptions/s"
	clusterID = sub + "/resourceGroups/g/providers/" + shape.ClusterType + "/c"
	subnetID  = sub + "/resourceGroups/g/providers/" + shape.NetworkType + "/v/subnets/s"
)

func fixture(t *testing.T) shape.Cluster {
	t.Helper()
	r := &arm.Resource{ID: clusterID, Type: shape.ClusterType, Name: "c", Operation: "/op/1", Body: map[string]any{"location": "eastus", "properties": map[string]any{"nodeResourceGroup": "MC_g_c_eastus"}}}
	n := shape.Names{Cluster: "abcdefghij", Digits: "12345678", OutboundIP: "guid", Subnet: subnetID}
	if err := n.Store(r); err != nil {
		t.Fatal(err)
	}
	c, err := shape.ClusterOf(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pool(t *testing.T, count int) shape.Pool {
	t.Helper()
	props := shape.Doc{"count": count, "maxPods": 10, "vnetSubnetID": subnetID, "mode": "System"}
	Complete(props, nil, "1.36.5")
	props.Set("currentOrchestratorVersion", "1.36.5")
	return shape.PoolOf(&arm.Resource{ID: clusterID + "/agentPools/np", Name: "np", Body: map[string]any{"properties": map[string]any(props)}})
}

// silent is a kernel that only stores.
type silent struct{ s store.Store }

func (k silent) Write(ctx context.Context, _ arm.Principal, id string, body map[string]any, managedBy string) (*arm.Resource, error) {
	parsed := resourceid.MustParse(id)
	r := &arm.Resource{ID: id, Type: parsed.Type(), Name: parsed.Name(), Body: body, State: "Succeeded", ManagedBy: managedBy}
	_, err := k.s.Commit(ctx, (&store.Tx{}).Put(arm.Key(id), r))
	return r, err
}

func (k silent) Delete(ctx context.Context, _ arm.Principal, id string) (bool, error) {
	_, err := k.s.Commit(ctx, (&store.Tx{}).Delete(arm.Key(id)))
	return true, err
}

type bench struct {
	t *testing.T
	shape.Deps
	c shape.Cluster
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := storetest.New(t)
	b := &bench{t: t, Deps: shape.Deps{Store: s, Kernel: silent{s}}, c: fixture(t)}
	for id, props := range map[string]map[string]any{subnetID: {"addressPrefix": "10.0.0.0/24"}, b.c.OutboundAddress(): {"ipAddress": "198.51.100.9"}} {
		if _, err := b.Kernel.Write(t.Context(), arm.System, id, map[string]any{"properties": props}, ""); err != nil {
			t.Fatal(err)
		}
	}
	b.status(spec.ClusterKey(b.c.Names.Cluster), spec.ClusterStatus{APIReady: true, Version: "v1.36.5"})
	return b
}

func (b *bench) status(specKey string, v any) {
	b.t.Helper()
	if _, err := b.Store.Commit(b.t.Context(), (&store.Tx{}).Put(spec.StatusKey(specKey), v)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) node(i int) string {
	return spec.NodeKey(b.c.Names.Cluster, "aks-np-12345678-vmss00000"+strconv.Itoa(i))
}

func (b *bench) reconcile(p shape.Pool) State {
	b.t.Helper()
	s, err := Reconcile(b.t.Context(), b.Deps, b.c, p)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) nodes() map[string]*node {
	b.t.Helper()
	all, err := list(b.t.Context(), b.Store, b.c.Names.Cluster, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func (b *bench) free() int {
	b.t.Helper()
	var used map[netip.Addr]string
	if _, err := b.Store.Get(b.t.Context(), "/ipam"+strings.ToLower(subnetID), &used); err != nil && len(b.nodes()) > 0 {
		b.t.Fatal(err)
	}
	return 251 - len(used)
}

// TestSubnetGoes deletes the subnet while nodes are about to be written into it: they must not be.
func TestSubnetGoes(t *testing.T) {
	b := newBench(t)
	n, note, err := readNetwork(t.Context(), b.Deps, b.c, pool(t, 2))
	if err != nil || note != "" {
		t.Fatal(note, err)
	}
	if _, err := b.Kernel.Delete(t.Context(), arm.System, subnetID); err != nil {
		t.Fatal(err)
	}
	if err := create(t.Context(), b.Deps, b.c, pool(t, 2), n, nil); !errors.Is(err, store.ErrConflict) {
		t.Errorf("%v, want a conflict", err)
	}
	if nodes := b.nodes(); len(nodes) != 0 {
		t.Errorf("nodes were made in a subnet that is gone: %v", nodes)
	}
}

// TestSteps goes through a pool's life by hand; each step is done twice and must change nothing the second time.
func TestSteps(t *testing.T) {
	b := newBench(t)
	twice := func(p shape.Pool) State {
		t.Helper()
		b.reconcile(p)
		_, before, err := b.Store.List(t.Context(), "/spec/")
		if err != nil {
			t.Fatal(err)
		}
		s := b.reconcile(p)
		if _, after, _ := b.Store.List(t.Context(), "/spec/"); after != before {
			t.Errorf("a second time writes something: %d, %d", before, after)
		}
		return s
	}
	if s := twice(pool(t, 2)); s.Done || s.Ready != 0 || s.Wanted != 2 || len(b.nodes()) != 2 || b.free() != 251-22 {
		t.Fatalf("two nodes: %+v, %d free", s, b.free())
	}
	b.status(b.node(0), spec.NodeStatus{Registered: true, Ready: true, Version: "v1.36.5"})
	b.status(b.node(1), spec.NodeStatus{Registered: true, Message: "KubeletNotReady: waits"})
	if s := twice(pool(t, 2)); s.Done || s.Ready != 1 || !strings.Contains(s.Note, "KubeletNotReady") {
		t.Errorf("one of two: %+v", s)
	}
	b.status(b.node(1), spec.NodeStatus{Registered: true, Ready: true, Version: "v1.36.5"})
	if s := twice(pool(t, 2)); !s.Done {
		t.Errorf("both: %+v", s)
	}

	if s := twice(pool(t, 1)); s.Done || !b.nodes()["aks-np-12345678-vmss000001"].Removing {
		t.Errorf("scale in: %+v", s)
	}
	// Back to two before the node is gone: it goes, and comes again.
	if s := twice(pool(t, 2)); s.Done {
		t.Errorf("scale out meanwhile: %+v", s)
	}
	b.status(b.node(1), spec.NodeStatus{Removed: true})
	if s := twice(pool(t, 2)); s.Done || b.nodes()["aks-np-12345678-vmss000001"].Removing || b.free() != 251-22 {
		t.Errorf("the name is free again: %+v, %d free", s, b.free())
	}
	if s := twice(pool(t, 1)); s.Done {
		t.Errorf("scale in again: %+v", s)
	}
	b.status(b.node(1), spec.NodeStatus{Removed: true})
	if s := twice(pool(t, 1)); !s.Done || len(b.nodes()) != 1 || b.free() != 251-11 {
		t.Errorf("scaled in: %+v, %d free", s, b.free())
	}
}

// TestOneAfterTheOther holds that an upgrade takes one node at a time, and the control plane first.
func TestOneAfterTheOther(t *testing.T) {
	b := newBench(t)
	p := pool(t, 3)
	b.reconcile(p)
	ready := func(i int, version string) {
		b.status(b.node(i), spec.NodeStatus{Registered: true, Ready: true, Version: version})
	}
	for i := range 3 {
		ready(i, "v1.36.5")
	}
	p.Props.Set("currentOrchestratorVersion", "1.37.1")
	versions := func() (n int) {
		b.reconcile(p)
		for _, x := range b.nodes() {
			if x.Version == "1.37.1" {
				n++
			}
		}
		return n
	}
	if n := versions(); n != 0 {
		t.Errorf("%d nodes are newer than the control plane", n)
	}
	b.status(spec.ClusterKey(b.c.Names.Cluster), spec.ClusterStatus{APIReady: true, Version: "v1.37.1"})
	for i := range 3 {
		if n := versions(); n != i+1 {
			t.Errorf("%d nodes at once, want %d", n, i+1)
		}
		if n := versions(); n != i+1 {
			t.Errorf("the next node is changed before the one before is ready: %d", n)
		}
		ready(i, "v1.37.1")
	}
	if s := b.reconcile(p); !s.Done {
		t.Errorf("all are new: %+v", s)
	}
}

func TestTeardown(t *testing.T) {
	b := newBench(t)
	b.reconcile(pool(t, 2))
	b.status(b.node(0), spec.NodeStatus{Ready: true})
	if left, err := Teardown(t.Context(), b.Deps, b.c); err != nil || left != 1 || len(b.nodes()) != 0 || b.free() != 251-22 {
		t.Errorf("%d left, %v: addresses stay until the nodes have ended (%d free)", left, err, b.free())
	}
	if _, err := b.Store.Commit(t.Context(), (&store.Tx{}).Delete(spec.StatusKey(b.node(0)))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if left, err := Teardown(t.Context(), b.Deps, b.c); err != nil || left != 0 || b.free() != 251 {
			t.Errorf("%d left, %v, %d free", left, err, b.free())
		}
	}
	if docs, _, err := b.Store.List(t.Context(), spec.NICPrefix); err != nil || len(docs) > 0 {
		t.Errorf("interfaces are left: %v, %v", docs, err)
	}
}

package kubernetes

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// noControlPlane is a manager whose control planes never answer, with its reconcilers running.
func noControlPlane(t *testing.T) (*Manager, *store.Cached) {
	t.Helper()
	s := storetest.New(t)
	return start(t, s, func(context.Context, string) (net.Conn, error) { return nil, errors.New("nobody is there") }), s
}

// start makes a manager and runs its reconcilers until the test ends.
func start(t *testing.T, s store.Store, dial func(context.Context, string) (net.Conn, error)) *Manager {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m := New(ctx, Options{Store: s, Log: slog.New(slog.DiscardHandler), Host: testHost, Dial: dial})
	done := make(chan error, 1)
	go func() { done <- reconcile.Run(ctx, s, m.Log, m.Reconcilers()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		m.Wait()
	})
	return m
}

func commitTx(t *testing.T, s store.Store, tx *store.Tx) {
	t.Helper()
	if _, err := s.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
}

// keys waits until exactly the named documents are below the prefix.
func keys(t *testing.T, s store.Store, prefix string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	changes := s.Watch(ctx, prefix, 0)
	for {
		docs, _, err := s.List(ctx, prefix)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range docs {
			got = append(got, strings.TrimPrefix(d.Key, prefix))
		}
		if strings.Join(got, " ") == strings.Join(want, " ") {
			return
		}
		select {
		case <-changes:
		case <-ctx.Done():
			t.Fatalf("below %s: %v, want %v", prefix, got, want)
		}
	}
}

func read[T any](t *testing.T, s store.Store, key string) (T, int64) {
	t.Helper()
	var v T
	rev, err := s.Get(t.Context(), key, &v)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return v, rev
}

// TestLife walks a cluster and its node from their specs to nothing.
func TestLife(t *testing.T) {
	_, s := noControlPlane(t)
	nodeKey := spec.NodeKey(testNode.Cluster, testNode.Name)
	workload := "node-abcdefghij-" + testNode.Name

	// The node comes first and waits for the cluster's authority.
	commitTx(t, s, new(store.Tx).Put(nodeKey, testNode))
	commitTx(t, s, new(store.Tx).Put(spec.ClusterKey(testCluster.Name), testCluster))
	keys(t, s, spec.WorkloadPrefix, "cp-abcdefghij", "etcd-abcdefghij", workload)
	keys(t, s, spec.ServicePrefix, "abcdefghij")
	keys(t, s, spec.SecretPrefix, "cluster-pki/abcdefghij", "cluster/abcdefghij", "node-pki/abcdefghij/"+testNode.Name)
	if svc, _ := read[spec.Service](t, s, spec.ServiceKey("abcdefghij")); svc.Sandbox != "cp-abcdefghij" || svc.Port != 443 {
		t.Errorf("service %+v", svc)
	}
	if secrets, _ := read[spec.ClusterSecrets](t, s, spec.SecretKey("cluster", "abcdefghij")); secrets.AdminKey == "" || secrets.AdminKey == secrets.UserKey {
		t.Error("admin and user have no keys of their own")
	}

	// A node that goes: its container first, its object then; it says so.
	removing := testNode
	removing.Removing = true
	commitTx(t, s, new(store.Tx).Put(spec.StatusKey(spec.WorkloadKey(workload)), spec.WorkloadStatus{Phase: spec.PhaseRunning}))
	commitTx(t, s, new(store.Tx).Put(nodeKey, removing))
	keys(t, s, spec.WorkloadPrefix, "cp-abcdefghij", "etcd-abcdefghij")
	if st, _ := read[spec.NodeStatus](t, s, spec.StatusKey(nodeKey)); st.Removed {
		t.Error("removed while its container still runs")
	}
	commitTx(t, s, new(store.Tx).Delete(spec.StatusKey(spec.WorkloadKey(workload))))
	until(t, s, spec.StatusKey(nodeKey), func(st spec.NodeStatus) bool { return st.Removed })
	commitTx(t, s, new(store.Tx).Delete(nodeKey))
	keys(t, s, spec.StatusKey(spec.NodePrefix))

	cp := spec.StatusKey(spec.WorkloadKey("cp-abcdefghij"))
	commitTx(t, s, new(store.Tx).Put(cp, spec.WorkloadStatus{Phase: spec.PhaseRunning}))
	commitTx(t, s, new(store.Tx).Delete(spec.ClusterKey(testCluster.Name)))
	keys(t, s, spec.WorkloadPrefix, "etcd-abcdefghij") // until the control plane has ended
	commitTx(t, s, new(store.Tx).Delete(cp))
	for _, prefix := range []string{spec.WorkloadPrefix, spec.ServicePrefix, spec.SecretPrefix, spec.StatusPrefix} {
		keys(t, s, prefix)
	}
}

// until waits until the document at key is as cond wants it.
func until[T any](t *testing.T, s store.Store, key string, cond func(T) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	changes := s.Watch(ctx, key, 0)
	for {
		var v T
		_, err := s.Get(ctx, key, &v)
		if err == nil && cond(v) {
			return
		}
		select {
		case <-changes:
		case <-ctx.Done():
			t.Fatalf("%s: %+v (%v)", key, v, err)
		}
	}
}

func TestEnsureChangesNothingTwice(t *testing.T) {
	m, s := noControlPlane(t)
	commitTx(t, s, new(store.Tx).Put(spec.ClusterKey(testCluster.Name), testCluster).Put(spec.NodeKey(testNode.Cluster, testNode.Name), testNode))
	workload := spec.WorkloadKey("node-abcdefghij-" + testNode.Name)
	until(t, s, workload, func(w spec.Workload) bool { return w.Name != "" })
	_, cp := read[spec.Workload](t, s, spec.WorkloadKey("cp-abcdefghij"))
	_, node := read[spec.Workload](t, s, workload)
	if _, err := m.reconcileCluster(t.Context(), spec.ClusterKey(testCluster.Name)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.reconcileNode(t.Context(), spec.NodeKey(testNode.Cluster, testNode.Name)); err != nil {
		t.Fatal(err)
	}
	if _, rev := read[spec.Workload](t, s, spec.WorkloadKey("cp-abcdefghij")); rev != cp {
		t.Error("the control plane's workload was written again, although nothing changed")
	}
	if _, rev := read[spec.Workload](t, s, workload); rev != node {
		t.Error("the node's workload was written again, although nothing changed")
	}
}

// TestRotate: another certificate generation reaches control plane and nodes.
func TestRotate(t *testing.T) {
	_, s := noControlPlane(t)
	nodeSecret := spec.SecretKey("node-pki", "abcdefghij/"+testNode.Name)
	commitTx(t, s, new(store.Tx).Put(spec.ClusterKey(testCluster.Name), testCluster).Put(spec.NodeKey(testNode.Cluster, testNode.Name), testNode))
	until(t, s, nodeSecret, func(m map[string]string) bool { return m["ca.crt"] != "" })
	before, _ := read[map[string]string](t, s, nodeSecret)
	rotated := testCluster
	rotated.CertificateGeneration++
	commitTx(t, s, new(store.Tx).Put(spec.ClusterKey(testCluster.Name), rotated))
	until(t, s, nodeSecret, func(m map[string]string) bool { return m["ca.crt"] != "" && m["ca.crt"] != before["ca.crt"] })
}

func TestStopped(t *testing.T) {
	_, s := noControlPlane(t)
	stopped := testCluster
	stopped.Stopped = true
	cp := spec.StatusKey(spec.WorkloadKey("cp-abcdefghij"))
	commitTx(t, s, new(store.Tx).Put(cp, spec.WorkloadStatus{Phase: spec.PhaseRunning}))
	commitTx(t, s, new(store.Tx).Put(spec.ClusterKey(testCluster.Name), stopped))
	until(t, s, spec.WorkloadKey("cp-abcdefghij"), func(w spec.Workload) bool { return w.Stopped })
	until(t, s, spec.StatusKey(spec.ClusterKey(testCluster.Name)), func(st spec.ClusterStatus) bool { return st.Message == "stopped" })
	if etcd, _ := read[spec.Workload](t, s, spec.WorkloadKey("etcd-abcdefghij")); etcd.Stopped {
		t.Error("etcd stops while its control plane runs")
	}
	commitTx(t, s, new(store.Tx).Put(cp, spec.WorkloadStatus{Phase: spec.PhaseStopped}))
	until(t, s, spec.WorkloadKey("etcd-abcdefghij"), func(w spec.Workload) bool { return w.Stopped })
}

func TestNodeOfWorkload(t *testing.T) {
	for name, want := range map[string]string{
		"node-abcdefghij-aks-nodepool1-12345678-vmss000000": "/spec/node/abcdefghij/aks-nodepool1-12345678-vmss000000",
		"cp-abcdefghij": "", "node-x": "",
	} {
		got := strings.Join(nodeOfWorkload(t.Context(), store.Event{Doc: store.Doc{Key: "/status/workload/" + name}}), " ")
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

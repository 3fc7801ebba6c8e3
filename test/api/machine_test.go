package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// The moods of a played machine.
const (
	well   = int32(iota) // what a spec wants is there at once, and reported
	held                 // nothing is done, and nothing reported
	broken               // everything is tried, and fails
)

// machine plays the host: it reads specs and writes the statuses that the engine, the fabric and kubelets would.
type machine struct {
	t     *testing.T
	store store.Store
	mood  atomic.Int32
	mu    sync.Mutex // one spec is obeyed at a time: what was read first would else be reported last
}

func (m *machine) run(ctx context.Context) {
	_, rev, err := m.store.List(ctx, "/spec/")
	if err != nil {
		return
	}
	for e := range m.store.Watch(ctx, "/spec/", rev) {
		m.tell(ctx, m.obey(ctx, e.Key))
	}
}

// become changes the mood, and looks at everything anew.
func (m *machine) become(ctx context.Context, mood int32) error {
	m.mood.Store(mood)
	keys := map[string]bool{}
	for _, prefix := range []string{"/spec/", spec.StatusPrefix} {
		docs, _, err := m.store.List(ctx, prefix)
		if err != nil {
			return err
		}
		for _, d := range docs {
			keys["/spec/"+strings.TrimPrefix(d.Key, prefix)] = true
		}
	}
	for key := range keys {
		if err := m.obey(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) tell(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		m.t.Errorf("machine: %v", err)
	}
}

// obey brings what is reported of a spec to what the spec is now.
func (m *machine) obey(ctx context.Context, key string) error {
	is := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
	played := is(spec.ClusterPrefix) || is(spec.NodePrefix) || is(spec.EndpointPrefix) || is(spec.NICPrefix) || is(spec.ServicePrefix)
	if !played || m.mood.Load() == held {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.store.Doc(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	tx, status := &store.Tx{}, spec.StatusKey(key)
	switch {
	case err != nil:
		tx.Delete(status)
		if is(spec.ClusterPrefix) {
			tx.Delete(spec.SecretKey("cluster", strings.TrimPrefix(key, spec.ClusterPrefix)))
		}
	case is(spec.ClusterPrefix):
		return m.cluster(ctx, d)
	case is(spec.NodePrefix):
		return m.node(ctx, d)
	case m.mood.Load() == broken:
		tx.Put(status, spec.AttachStatus{Message: "the link is broken"})
	default:
		tx.Put(status, spec.AttachStatus{Ready: true})
	}
	_, err = m.store.Commit(ctx, tx)
	return err
}

func (m *machine) cluster(ctx context.Context, d store.Doc) error {
	var c spec.Cluster
	if err := json.Unmarshal(d.Value, &c); err != nil {
		return err
	}
	s := spec.ClusterStatus{APIReady: !c.Stopped, AddonsSet: true, Version: "v" + c.Version, CertificateGeneration: c.CertificateGeneration}
	if m.mood.Load() == broken {
		s = spec.ClusterStatus{Message: "does not answer"}
	}
	tx := (&store.Tx{}).Put(spec.StatusKey(d.Key), s)
	tx.Put(spec.SecretKey("cluster", c.Name), spec.ClusterSecrets{CA: "the CA", AdminCert: "admin's", AdminKey: "admin's key", UserCert: "user's", UserKey: "user's key"})
	if _, err := m.store.Commit(ctx, tx); err != nil {
		return err
	}
	nodes, _, err := m.store.List(ctx, spec.NodeKey(c.Name, "")) // their certificates are the cluster's
	for _, n := range nodes {
		err = errors.Join(err, m.node(ctx, n))
	}
	return err
}

func (m *machine) node(ctx context.Context, d store.Doc) error {
	var n spec.Node
	if err := json.Unmarshal(d.Value, &n); err != nil {
		return err
	}
	var c spec.Cluster
	if _, err := m.store.Get(ctx, spec.ClusterKey(n.Cluster), &c); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	s := spec.NodeStatus{
		Registered: true, Ready: !n.Removing && !n.Stopped, Stopped: n.Stopped, Removed: n.Removing, Version: "v" + n.Version,
		CertificateGeneration: c.CertificateGeneration,
	}
	if m.mood.Load() == broken {
		s = spec.NodeStatus{Message: "its kubelet does not start"}
	}
	_, err := m.store.Commit(ctx, (&store.Tx{}).Put(spec.StatusKey(d.Key), s))
	return err
}

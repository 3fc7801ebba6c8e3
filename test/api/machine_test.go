package api_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"encoding/json"

	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// machine plays the host: what a spec wants is there at once, and reported.
type machine struct {
	t     *testing.T
	store store.Store
}

func (m machine) run(ctx context.Context) {
	docs, rev, err := m.store.List(ctx, "/spec/")
	if err != nil {
		return
	}
	for _, d := range docs {
		m.obey(ctx, store.Event{Doc: d})
	}
	for e := range m.store.Watch(ctx, "/spec/", rev) {
		m.obey(ctx, e)
	}
}

func (m machine) obey(ctx context.Context, e store.Event) {
	tx, status := &store.Tx{}, spec.StatusKey(e.Key)
	is := func(prefix string) bool { return strings.HasPrefix(e.Key, prefix) }
	switch {
	case !is(spec.ClusterPrefix) && !is(spec.NodePrefix) && !is(spec.EndpointPrefix) && !is(spec.NICPrefix) && !is(spec.ServicePrefix):
		return
	case e.Deleted:
		tx.Delete(status)
		if is(spec.ClusterPrefix) {
			tx.Delete(spec.SecretKey("cluster", strings.TrimPrefix(e.Key, spec.ClusterPrefix)))
		}
	case is(spec.ClusterPrefix):
		c := decode[spec.Cluster](m.t, e.Value)
		tx.Put(status, spec.ClusterStatus{APIReady: !c.Stopped, AddonsSet: true, Version: "v" + c.Version, CertificateGeneration: c.CertificateGeneration})
		nodes, _, err := m.store.List(ctx, spec.NodeKey(c.Name, ""))
		if err != nil {
			return
		}
		for _, d := range nodes {
			tx.Put(spec.StatusKey(d.Key), played(decode[spec.Node](m.t, d.Value), c))
		}
		tx.Put(spec.SecretKey("cluster", c.Name), spec.ClusterSecrets{CA: "the CA", AdminCert: "admin's", AdminKey: "admin's key", UserCert: "user's", UserKey: "user's key"})
	case is(spec.NodePrefix):
		n := decode[spec.Node](m.t, e.Value)
		var c spec.Cluster
		if _, err := m.store.Get(ctx, spec.ClusterKey(n.Cluster), &c); err != nil && !errors.Is(err, store.ErrNotFound) {
			return
		}
		tx.Put(status, played(n, c))
	default:
		tx.Put(status, spec.AttachStatus{Ready: true})
	}
	if _, err := m.store.Commit(ctx, tx); err != nil && ctx.Err() == nil {
		m.t.Errorf("machine: %v", err)
	}
}

// played is what is reported of a node: what is wanted.
func played(n spec.Node, c spec.Cluster) spec.NodeStatus {
	return spec.NodeStatus{
		Registered: true, Ready: !n.Removing && !n.Stopped, Stopped: n.Stopped, Removed: n.Removing, Version: "v" + n.Version,
		CertificateGeneration: c.CertificateGeneration,
	}
}

func decode[T any](t *testing.T, raw []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Error(err)
	}
	return v
}

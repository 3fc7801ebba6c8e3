package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// removeInterval is how soon the next step of a node's removal is tried.
const removeInterval = 300 * time.Millisecond

// reconcileNode has the node at key running as its spec says, or nothing left of it.
func (m *Manager) reconcileNode(ctx context.Context, key string) (reconcile.Result, error) {
	cluster, name, _ := strings.Cut(strings.TrimPrefix(key, spec.NodePrefix), "/")
	n, _, err := get[spec.Node](ctx, m.Store, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	var res reconcile.Result
	switch {
	case n == nil:
		res, err = m.forgetNode(ctx, cluster, name)
	case n.Removing:
		res, err = m.removeNode(ctx, *n)
	default:
		res, err = m.ensureNode(ctx, *n)
	}
	if err != nil {
		err = fmt.Errorf("node %s of cluster %s: %w", name, cluster, err)
	}
	return res, err
}

// ensureNode writes the node's secrets and workload, whether or not the control
// plane answers: the two start at the same time.
func (m *Manager) ensureNode(ctx context.Context, n spec.Node) (reconcile.Result, error) {
	c, _, err := get[spec.Cluster](ctx, m.Store, spec.ClusterKey(n.Cluster))
	if err != nil || c == nil {
		return reconcile.Result{}, err
	}
	authority, _, err := get[pki.Cluster](ctx, m.Store, pkiSecretKey(n.Cluster))
	if err != nil || authority == nil {
		return reconcile.Result{}, err // its coming wakes this node again
	}
	old, _, err := get[pki.Node](ctx, m.Store, nodeSecretKey(n.Cluster, n.Name))
	if err != nil {
		return reconcile.Result{}, err
	}
	secrets, _, err := authority.EnsureNode(old, n, m.now(), m.CertificateLifetime)
	if err != nil {
		return reconcile.Result{}, err
	}
	c.CertificateGeneration = authority.Generation() // not the one that the cluster is about to have
	w, err := NodeWorkload(n, *c, secrets, m.Host)
	if err != nil {
		return reconcile.Result{}, err
	}
	tx := new(store.Tx)
	if err := put(ctx, m.Store, tx, nodeSecretKey(n.Cluster, n.Name), secrets); err != nil {
		return reconcile.Result{}, err
	}
	if err := put(ctx, m.Store, tx, spec.WorkloadKey(w.Name), w); err != nil {
		return reconcile.Result{}, err
	}
	if err := commit(ctx, m.Store, tx); err != nil {
		return reconcile.Result{}, err
	}
	if s := m.session(n.Cluster); s != nil {
		if err := errors.Join(m.label(ctx, s, n), m.taint(ctx, s, n)); err != nil {
			return reconcile.Result{}, err
		}
	}
	return m.renewal(secrets.ServerCert), m.reportNode(ctx, n)
}

// removeNode takes one step of a node's removal: drain it, end its container,
// delete its object, say so. Each step looks at what is there, so that the
// removal goes on after a restart.
func (m *Manager) removeNode(ctx context.Context, n spec.Node) (reconcile.Result, error) {
	again := reconcile.Result{After: removeInterval}
	workload := spec.WorkloadKey(nodeWorkload(n.Cluster, n.Name))
	running, _, err := get[spec.Workload](ctx, m.Store, workload)
	if err != nil {
		return reconcile.Result{}, err
	}
	s := m.session(n.Cluster)
	if running != nil {
		if s != nil && !m.drained(ctx, s, n) {
			return again, nil
		}
		tx := new(store.Tx)
		if err := remove(ctx, m.Store, tx, workload, nodeSecretKey(n.Cluster, n.Name)); err != nil {
			return reconcile.Result{}, err
		}
		return again, commit(ctx, m.Store, tx)
	}
	// The kubelet would register anew while it lives.
	if st, err := m.workloadStatus(ctx, nodeWorkload(n.Cluster, n.Name)); err != nil || st != nil {
		return reconcile.Result{}, err // its end wakes this node again
	}
	if err := deleteNode(ctx, s, n.Name); err != nil {
		return reconcile.Result{}, err
	}
	m.forgetDrain(n.Cluster, n.Name)
	tx := new(store.Tx)
	key := spec.NodeKey(n.Cluster, n.Name)
	if err := put(ctx, m.Store, tx, spec.StatusKey(key), spec.NodeStatus{Removed: true}); err != nil {
		return reconcile.Result{}, err
	}
	if len(tx.Changes) > 0 {
		rev, err := m.Store.Get(ctx, key, nil)
		if err != nil {
			return reconcile.Result{}, err
		}
		tx.Expect(key, rev)
	}
	return reconcile.Result{}, commit(ctx, m.Store, tx)
}

// forgetNode cleans up after a node whose spec has gone.
func (m *Manager) forgetNode(ctx context.Context, cluster, name string) (reconcile.Result, error) {
	workload := spec.WorkloadKey(nodeWorkload(cluster, name))
	tx := new(store.Tx)
	if err := remove(ctx, m.Store, tx, workload, nodeSecretKey(cluster, name), spec.StatusKey(spec.NodeKey(cluster, name))); err != nil {
		return reconcile.Result{}, err
	}
	if err := commit(ctx, m.Store, tx); err != nil {
		return reconcile.Result{}, err
	}
	if s := m.session(cluster); s != nil {
		return reconcile.Result{}, m.sweepNode(ctx, s, name)
	}
	return reconcile.Result{}, nil
}

// sweepNode deletes the object of a node that has neither spec nor container.
// Nodes that others made are theirs.
func (m *Manager) sweepNode(ctx context.Context, s *session, name string) error {
	node := s.cached(name)
	if node == nil || ownedLabels(node) == 0 {
		return nil
	}
	if st, err := m.workloadStatus(ctx, nodeWorkload(s.cluster.Name, name)); err != nil || st != nil {
		return err // its end wakes this node again
	}
	return deleteNode(ctx, s, name)
}

// deleteNode deletes the node's object and its volumes', where there is an API server.
func deleteNode(ctx context.Context, s *session, name string) error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := forgetVolumes(ctx, s, name); err != nil {
		return err
	}
	if err := s.core.Nodes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !gone(err) {
		return err
	}
	return nil
}

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// apiPort is where the API server listens in its sandbox.
const apiPort = 443

// reconcileCluster has the control plane of the cluster at key running as its
// spec says, or nothing left of it.
func (m *Manager) reconcileCluster(ctx context.Context, key string) (reconcile.Result, error) {
	c, _, err := get[spec.Cluster](ctx, m.Store, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if c == nil {
		return m.removeCluster(ctx, path.Base(key))
	}
	secrets, err := m.ensureCluster(ctx, *c)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	if c.Stopped {
		m.endSession(c.Name)
		return reconcile.Result{}, m.setClusterStatus(ctx, c.Name, func(s *spec.ClusterStatus) {
			s.APIReady, s.Message = false, "stopped"
		})
	}
	m.startSession(*c, secrets)
	return m.renewal(secrets.ServerCert), nil
}

// renewal asks to be called again when the certificate is to be made anew. Resyncs
// see to what is far away.
func (m *Manager) renewal(certPEM string) reconcile.Result {
	wait := pki.RenewAt(certPEM).Sub(m.now())
	if wait > time.Hour {
		return reconcile.Result{}
	}
	return reconcile.Result{After: max(wait, time.Second)}
}

// ensureCluster writes, in one transaction, the secrets, the workloads and the service.
func (m *Manager) ensureCluster(ctx context.Context, c spec.Cluster) (*pki.Cluster, error) {
	tx := new(store.Tx)
	old, _, err := get[pki.Cluster](ctx, m.Store, pkiSecretKey(c.Name))
	if err != nil {
		return nil, err
	}
	secrets, _, err := pki.EnsureCluster(old, c, m.now(), m.CertificateLifetime)
	if err != nil {
		return nil, err
	}
	list, err := Workloads(c, secrets, m.CertificateLifetime)
	if err != nil {
		return nil, err
	}
	if c.Stopped {
		// etcd goes after its clients: each would wait for the other.
		st, err := m.workloadStatus(ctx, controlPlaneWorkload(c.Name))
		if err != nil {
			return nil, err
		}
		list[0].Stopped = st == nil || st.Phase == spec.PhaseStopped
	}
	docs := []struct {
		key   string
		value any
	}{
		{pkiSecretKey(c.Name), secrets},
		{clusterSecretKey(c.Name), secrets.Public()},
		{spec.ServiceKey(c.Name), spec.Service{Name: c.Name, Owner: c.Resource, Sandbox: SandboxName(c.Name), Port: apiPort}},
	}
	for _, w := range list {
		docs = append(docs, struct {
			key   string
			value any
		}{spec.WorkloadKey(w.Name), w})
	}
	for _, d := range docs {
		if err := put(ctx, m.Store, tx, d.key, d.value); err != nil {
			return nil, err
		}
	}
	return secrets, commit(ctx, m.Store, tx)
}

// removeCluster deletes what ensureCluster wrote, and what the session
// reported: the control plane first, and what it needs when it has ended.
func (m *Manager) removeCluster(ctx context.Context, name string) (reconcile.Result, error) {
	m.endSession(name)
	tx := new(store.Tx)
	controlPlane := controlPlaneWorkload(name)
	if err := remove(ctx, m.Store, tx, spec.WorkloadKey(controlPlane), spec.StatusKey(spec.ClusterKey(name))); err != nil {
		return reconcile.Result{}, err
	}
	if err := commit(ctx, m.Store, tx); err != nil {
		return reconcile.Result{}, err
	}
	if st, err := m.workloadStatus(ctx, controlPlane); err != nil || st != nil {
		return reconcile.Result{}, err // its end wakes this cluster again
	}
	tx = new(store.Tx)
	if err := remove(ctx, m.Store, tx,
		spec.WorkloadKey(etcdWorkload(name)), spec.ServiceKey(name), pkiSecretKey(name), clusterSecretKey(name),
	); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, commit(ctx, m.Store, tx)
}

// workloadStatus is what the engine says of a workload; nil: it has none.
func (m *Manager) workloadStatus(ctx context.Context, name string) (*spec.WorkloadStatus, error) {
	st, _, err := get[spec.WorkloadStatus](ctx, m.Store, spec.StatusKey(spec.WorkloadKey(name)))
	return st, err
}

// setClusterStatus changes the cluster's status, as long as the cluster exists.
func (m *Manager) setClusterStatus(ctx context.Context, name string, change func(*spec.ClusterStatus)) error {
	for {
		err := m.setClusterStatusOnce(ctx, name, change)
		if !errors.Is(err, store.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}

func (m *Manager) setClusterStatusOnce(ctx context.Context, name string, change func(*spec.ClusterStatus)) error {
	rev, err := m.Store.Get(ctx, spec.ClusterKey(name), nil)
	if err != nil {
		return err
	}
	key := spec.StatusKey(spec.ClusterKey(name))
	old, oldRev, err := get[spec.ClusterStatus](ctx, m.Store, key)
	if err != nil {
		return err
	}
	var s spec.ClusterStatus
	if old != nil {
		s = *old
	}
	change(&s)
	tx := new(store.Tx)
	if err := rewrite(tx, key, old, oldRev, s); err != nil || len(tx.Changes) == 0 {
		return err
	}
	// A status that is written while its cluster goes would stay for ever.
	return commit(ctx, m.Store, tx.Expect(spec.ClusterKey(name), rev))
}

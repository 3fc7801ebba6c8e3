package kubernetes

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"cloister.dev/cloister/internal/kubernetes/args"
	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// Options is what a Manager works with.
type Options struct {
	Store store.Store
	Log   *slog.Logger
	// Dial connects to 127.0.0.1:443 inside a sandbox: a control plane has no other way in for Cloister.
	Dial func(ctx context.Context, sandbox string) (net.Conn, error)
	Host args.Host
	// CertificateLifetime is how long certificates of clusters are valid; 0: pki.Lifetime.
	CertificateLifetime time.Duration
}

// Manager turns the specs of clusters and nodes into what the engine runs, and
// keeps a session with every control plane.
type Manager struct {
	Options
	ctx context.Context // ends the sessions
	now func() time.Time

	mu       sync.Mutex
	sessions map[string]*session // by cluster
	drains   map[string]time.Time
	wg       sync.WaitGroup
}

// New makes a manager whose sessions end with ctx.
func New(ctx context.Context, o Options) *Manager {
	if o.CertificateLifetime == 0 {
		o.CertificateLifetime = pki.Lifetime
	}
	return &Manager{Options: o, ctx: ctx, now: time.Now, sessions: map[string]*session{}, drains: map[string]time.Time{}}
}

// Wait returns when every session has ended.
func (m *Manager) Wait() { m.wg.Wait() }

// Reconcilers are those of clusters and of nodes.
func (m *Manager) Reconcilers() []reconcile.Reconciler {
	return []reconcile.Reconciler{
		{
			Name: "kubernetes-cluster",
			Watches: append(m.leftoversOfCluster(),
				reconcile.Watch{Prefix: spec.ClusterPrefix},
				reconcile.Watch{Prefix: spec.StatusKey(spec.WorkloadKey(controlPlanePrefix)), Map: clusterOfWorkload},
			),
			Writes:    []string{spec.WorkloadPrefix, spec.ServicePrefix, spec.SecretPrefix, spec.StatusKey(spec.ClusterPrefix)},
			Reconcile: m.reconcileCluster,
			Workers:   8,
		},
		{
			Name: "kubernetes-node",
			Watches: append(m.leftoversOfNode(),
				reconcile.Watch{Prefix: spec.NodePrefix},
				reconcile.Watch{Prefix: spec.ClusterPrefix, Map: m.nodesOfCluster},
				reconcile.Watch{Prefix: pkiSecretKey(""), Map: m.nodesOfCluster},
				reconcile.Watch{Prefix: spec.StatusKey(spec.WorkloadKey(nodeWorkloadPrefix)), Map: nodeOfWorkload},
			),
			Writes:    []string{spec.WorkloadPrefix, spec.SecretPrefix, spec.StatusKey(spec.NodePrefix)},
			Reconcile: m.reconcileNode,
			Workers:   8,
		},
	}
}

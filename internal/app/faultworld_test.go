package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/kubernetes"
	"cloister.dev/cloister/internal/kubernetes/args"
	"cloister.dev/cloister/internal/netplan"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/reconcile/reconciletest"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// world is the whole daemon over a store, an engine and a fabric that are played: each of their changes is a
// step that can fail or end the daemon. They outlive it.
type world struct {
	t      testing.TB
	cfg    config.Config
	store  *storetest.Memory
	faults reconciletest.Faults
	engine playedEngine
	fabric playedFabric
	runner reconciletest.Runner
	admin  identity.Admin

	server   *arm.Server // of the daemon that lives
	sessions *sessions
	end      context.CancelFunc
}

// tenant is a store in which a tenant was made: keys take their time.
var tenant = sync.OnceValues(func() ([]store.Doc, error) {
	s, ctx := storetest.NewMemory(), context.Background()
	if _, err := identity.Bootstrap(ctx, s, config.Default()); err != nil {
		return nil, err
	}
	if _, err := identity.Open(ctx, s, config.Default()); err != nil {
		return nil, err
	}
	docs, _, err := s.List(ctx, "/")
	return docs, err
})

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, cfg: config.Default(), store: storetest.NewMemory()}
	w.cfg.RunDir, w.cfg.DataDir = t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Dir(zonesFile(w.cfg)), 0o700); err != nil {
		t.Fatal(err)
	}
	docs, err := tenant()
	if err != nil {
		t.Fatal(err)
	}
	tx := new(store.Tx)
	for _, d := range docs {
		tx.Put(d.Key, d.Value)
	}
	if _, err := w.store.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	admin, err := identity.Bootstrap(t.Context(), w.store, w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.admin = admin
	w.engine = playedEngine{faults: &w.faults, runs: map[string]string{}}
	w.fabric = playedFabric{faults: &w.faults, pins: map[string]bool{}}
	w.runner = reconciletest.Runner{Store: w.store, Faults: &w.faults, Start: w.start, Play: w.play, Called: map[string]int{}}
	t.Cleanup(w.stop)
	return w
}

// stop ends what the daemon does beside its reconcilers.
func (w *world) stop() {
	if w.end != nil {
		w.end()
	}
}

// start does what the daemon does when it starts, and returns its reconcilers.
func (w *world) start(ctx context.Context) ([]reconcile.Reconciler, error) {
	w.stop()
	s, log := w.faults.Store(w.store), slog.New(slog.DiscardHandler)
	n := &networks{cfg: w.cfg, store: s, fabric: w.fabric, log: log}
	if err := n.reconcile(ctx); err != nil {
		return nil, err
	}
	z := &names{cfg: w.cfg, store: s, path: w.fabric.Path}
	if err := z.reconcile(ctx); err != nil {
		return nil, err
	}
	live, cancel := context.WithCancel(ctx)
	w.end = cancel
	ids, err := identity.Open(live, w.store, w.cfg)
	if err != nil {
		return nil, err
	}
	go func() { _ = ids.Run(live) }()
	server, err := newServer(w.cfg, s, ids, log)
	if err != nil {
		return nil, err
	}
	x := &workloads{store: s, engine: w.engine, fabric: w.fabric, log: log}
	if err := x.sweep(ctx, nil); err != nil {
		return nil, err
	}
	// No API server answers: what a session reports of one is played.
	dial := func(context.Context, string) (net.Conn, error) { return nil, errors.New("there is no API server") }
	clusters := kubernetes.New(live, kubernetes.Options{Store: s, Log: log, Host: args.Host{}, Dial: dial})
	w.server, w.sessions = server, &sessions{s}
	return reconcilers(server, clusters, n, z, x, w.sessions), nil
}

// play is what control planes and kubelets report, as soon as their containers run.
func (w *world) play(ctx context.Context) error {
	clusters, err := all[spec.Cluster](ctx, w.store, spec.ClusterPrefix)
	if err != nil {
		return err
	}
	for key, c := range clusters {
		if _, runs := w.engine.runs["cp-"+c.Name]; runs && !c.Stopped {
			if err := putStatus(ctx, w.store, spec.StatusKey(key), spec.ClusterStatus{APIReady: true, AddonsSet: true, Version: "v" + c.Version}); err != nil {
				return err
			}
		}
	}
	nodes, err := all[spec.Node](ctx, w.store, spec.NodePrefix)
	if err != nil {
		return err
	}
	for key, n := range nodes {
		if _, runs := w.engine.runs["node-"+n.Cluster+"-"+n.Name]; runs && !n.Removing && !n.Stopped {
			if err := putStatus(ctx, w.store, spec.StatusKey(key), spec.NodeStatus{Registered: true, Ready: true, Version: "v" + n.Version}); err != nil {
				return err
			}
		}
	}
	return nil
}

// playedEngine remembers which containers there are, and in which namespace.
type playedEngine struct {
	faults *reconciletest.Faults
	runs   map[string]string
}

func (e playedEngine) Apply(_ context.Context, w spec.Workload, netns string, _ map[string][]byte) (spec.WorkloadStatus, error) {
	if w.Stopped {
		return spec.WorkloadStatus{Phase: spec.PhaseStopped}, e.forget(w.Name)
	}
	if old, there := e.runs[w.Name]; !there || old != netns {
		if err := e.faults.Step("start of "+w.Name, func() error { e.runs[w.Name] = netns; return nil }); err != nil {
			return spec.WorkloadStatus{}, err
		}
	}
	return spec.WorkloadStatus{Phase: spec.PhaseRunning, Image: w.Image}, nil
}

func (e playedEngine) Remove(_ context.Context, name string) error { return e.forget(name) }

func (e playedEngine) forget(name string) error {
	if _, there := e.runs[name]; !there {
		return nil
	}
	return e.faults.Step("end of "+name, func() error { delete(e.runs, name); return nil })
}

func (e playedEngine) List(context.Context) ([]string, error) {
	var out []string
	for name := range maps.Keys(e.runs) {
		out = append(out, name)
	}
	return out, nil
}

// playedFabric remembers which namespaces are pinned.
type playedFabric struct {
	faults *reconciletest.Faults
	pins   map[string]bool
}

func (f playedFabric) pin(name string) error {
	if f.pins[name] || name == netplan.HostNS {
		return nil
	}
	return f.faults.Step("pin of "+name, func() error { f.pins[name] = true; return nil })
}

func (f playedFabric) UplinkMTU() (int, error)                          { return 1500, nil }
func (f playedFabric) Uplinks([]netip.Prefix) ([]netplan.Uplink, error) { return nil, nil }
func (f playedFabric) Path(name string) string                          { return "/netns/" + name }
func (f playedFabric) DeleteSandbox(name string) error                  { return f.unpin(name) }

func (f playedFabric) EnsureSandbox(name string) (string, error) {
	return f.Path(name), f.pin(name)
}

func (f playedFabric) Apply(_ context.Context, _ string, _ int64, namespaces []netplan.Namespace) error {
	for _, ns := range namespaces {
		if err := f.pin(ns.Name); err != nil {
			return err
		}
	}
	return nil
}

func (f playedFabric) unpin(name string) error {
	return f.faults.Step("unpin of "+name, func() error { delete(f.pins, name); return nil })
}

func (f playedFabric) Sweep(keep map[string]bool) ([]string, error) {
	var gone []string
	for name := range maps.Keys(f.pins) {
		if keep[name] || name == netplan.EdgeNS || name == netplan.ProviderNS {
			continue
		}
		if err := f.unpin(name); err != nil {
			return gone, err
		}
		gone = append(gone, name)
	}
	return gone, nil
}

// left names what there is: every document that lasts, container and namespace.
func (w *world) left() []string {
	w.t.Helper()
	docs, _, err := w.store.List(w.t.Context(), "/")
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, d := range docs {
		if !strings.HasPrefix(d.Key, "/op/") { // kept for a day, for those who ask
			out = append(out, d.Key)
		}
	}
	for name := range w.engine.runs {
		out = append(out, "container "+name)
	}
	for name := range w.fabric.pins {
		out = append(out, "namespace "+name)
	}
	return out
}

// unended lists operations that still run.
func (w *world) unended() error {
	ops, err := all[arm.Operation](w.t.Context(), w.store, "/op/")
	if err != nil {
		return err
	}
	for _, op := range ops {
		if op.Status == arm.InProgress {
			return fmt.Errorf("the %s of %s still runs: %s", op.Kind, op.Resource, op.Note)
		}
	}
	return nil
}

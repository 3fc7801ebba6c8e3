package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"cloister.dev/cloister/internal/engine"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// runner is what the engine does for workloads.
type runner interface {
	Apply(ctx context.Context, w spec.Workload, netns string, files map[string][]byte) (spec.WorkloadStatus, error)
	Remove(ctx context.Context, name string) error
	List(ctx context.Context) ([]string, error)
}

// sandboxes is what the fabric does for workloads.
type sandboxes interface {
	EnsureSandbox(name string) (path string, err error)
	DeleteSandbox(name string) error
}

// workloads brings containers to where spec/workload wants them.
type workloads struct {
	store  store.Store
	engine runner
	fabric sandboxes
	log    *slog.Logger
}

func (w *workloads) reconciler() reconcile.Reconciler {
	return reconcile.Reconciler{
		Name: "workloads", Writes: []string{spec.StatusPrefix + "workload/", spec.SandboxPrefix}, Reconcile: w.reconcile, Workers: 8, Resync: time.Minute,
		Watches: []reconcile.Watch{
			{Prefix: spec.WorkloadPrefix},
			{Prefix: spec.StatusPrefix + "workload/", Map: func(_ context.Context, e store.Event) []string { return []string{spec.SpecKey(e.Key)} }},
			{Prefix: spec.StatusPrefix + "nic/", Map: w.ofNetwork},
			{Prefix: spec.StatusPrefix + "service/", Map: w.ofNetwork},
		},
	}
}

// ofNetwork maps an attached interface to the workloads of its sandbox.
func (w *workloads) ofNetwork(ctx context.Context, e store.Event) []string {
	var attached struct{ Sandbox string }
	if _, err := w.store.Get(ctx, spec.SpecKey(e.Key), &attached); err != nil || attached.Sandbox == "" {
		return nil
	}
	docs, _, err := w.store.List(ctx, spec.WorkloadPrefix)
	if err != nil {
		return nil
	}
	var keys []string
	for _, d := range docs {
		var x spec.Workload
		if json.Unmarshal(d.Value, &x) == nil && x.Sandbox == attached.Sandbox {
			keys = append(keys, d.Key)
		}
	}
	return keys
}

func (w *workloads) reconcile(ctx context.Context, key string) (reconcile.Result, error) {
	var want spec.Workload
	_, err := w.store.Get(ctx, key, &want)
	if errors.Is(err, store.ErrNotFound) {
		return reconcile.Result{}, w.remove(ctx, key)
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	st, again, err := w.apply(ctx, want)
	if err != nil {
		st = spec.WorkloadStatus{Phase: spec.PhasePending, Message: err.Error()}
	}
	return reconcile.Result{After: again}, errors.Join(err, putStatus(ctx, w.store, spec.StatusKey(key), st))
}

func (w *workloads) apply(ctx context.Context, want spec.Workload) (spec.WorkloadStatus, time.Duration, error) {
	netns := ""
	if want.Sandbox != "" {
		path, err := w.fabric.EnsureSandbox(want.Sandbox)
		if err != nil {
			return spec.WorkloadStatus{}, 0, err
		}
		if err := putStatus(ctx, w.store, spec.SandboxKey(want.Sandbox), spec.SandboxStatus{Path: path}); err != nil {
			return spec.WorkloadStatus{}, 0, err
		}
		waiting, err := w.unattached(ctx, want.Sandbox)
		if err != nil {
			return spec.WorkloadStatus{}, 0, err
		}
		if waiting != "" {
			return spec.WorkloadStatus{Phase: spec.PhasePending, Message: waiting}, 0, nil
		}
		netns = path
	}
	files := map[string][]byte{}
	for path, f := range want.Files {
		text, err := w.content(ctx, f)
		if err != nil {
			return spec.WorkloadStatus{}, 0, fmt.Errorf("file %s: %w", path, err)
		}
		files[path] = text
	}
	st, err := w.engine.Apply(ctx, want, netns, files)
	if err != nil {
		return st, 0, err
	}
	if st.Phase == spec.PhaseExited {
		return st, time.Second, nil // the engine's backoff decides when it starts again
	}
	return st, 0, nil
}

// unattached says what the sandbox's network still waits for, or "". A workload
// never starts in a sandbox without its interface.
func (w *workloads) unattached(ctx context.Context, sandbox string) (string, error) {
	found := 0
	for _, prefix := range []string{spec.NICPrefix, spec.ServicePrefix} {
		docs, _, err := w.store.List(ctx, prefix)
		if err != nil {
			return "", err
		}
		for _, d := range docs {
			var x struct{ Name, Sandbox string }
			if err := json.Unmarshal(d.Value, &x); err != nil {
				return "", fmt.Errorf("document at %s: %w", d.Key, err)
			}
			if x.Sandbox != sandbox {
				continue
			}
			found++
			var st spec.AttachStatus
			if _, err := w.store.Get(ctx, spec.StatusKey(d.Key), &st); err != nil && !errors.Is(err, store.ErrNotFound) {
				return "", err
			}
			if !st.Ready {
				return strings.TrimSpace("waits for the interface " + x.Name + " " + st.Message), nil
			}
		}
	}
	if found == 0 {
		return "waits for an interface", nil
	}
	return "", nil
}

func (w *workloads) content(ctx context.Context, f spec.File) ([]byte, error) {
	if f.Secret == "" {
		return []byte(f.Text), nil
	}
	var fields map[string]string
	if _, err := w.store.Get(ctx, spec.SecretPrefix+strings.TrimPrefix(f.Secret, spec.SecretPrefix), &fields); err != nil {
		return nil, fmt.Errorf("secret %s: %w", f.Secret, err)
	}
	text, ok := fields[f.Field]
	if !ok {
		return nil, fmt.Errorf("secret %s has no field %s", f.Secret, f.Field)
	}
	return []byte(text), nil
}

func (w *workloads) remove(ctx context.Context, key string) error {
	name := strings.TrimPrefix(key, spec.WorkloadPrefix)
	if err := w.engine.Remove(ctx, name); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return deleteKey(ctx, w.store, spec.StatusKey(key))
}

// sweep removes containers that no spec names: what was deleted while the daemon was away.
func (w *workloads) sweep(ctx context.Context, own map[string]bool) error {
	names, err := w.engine.List(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if own[name] {
			continue
		}
		_, err := w.store.Get(ctx, spec.WorkloadKey(name), nil)
		if errors.Is(err, store.ErrNotFound) {
			w.log.InfoContext(ctx, "removing a container that nothing wants", "workload", name)
			err = w.remove(ctx, spec.WorkloadKey(name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// observe writes down that a container's process ended; the reconciler does the rest.
func (w *workloads) observe(ctx context.Context, e *engine.Engine) {
	for name := range e.Exits(ctx) {
		if err := w.ended(ctx, name); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "note an end", "workload", name, "error", err)
		}
	}
}

// ended notes the end of what was running. Of anything else the reconciler has not said its last word.
func (w *workloads) ended(ctx context.Context, name string) error {
	key := spec.StatusKey(spec.WorkloadKey(name))
	var st spec.WorkloadStatus
	rev, err := w.store.Get(ctx, key, &st)
	if errors.Is(err, store.ErrNotFound) || err == nil && st.Phase != spec.PhaseRunning {
		return nil
	}
	if err != nil {
		return err
	}
	st.Phase, st.Message = spec.PhaseExited, "its process ended"
	_, err = w.store.Commit(ctx, new(store.Tx).Update(key, rev, st))
	if errors.Is(err, store.ErrConflict) {
		return nil // the reconciler has looked since
	}
	return err
}

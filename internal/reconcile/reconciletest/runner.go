// Package reconciletest runs reconcilers without clock and goroutines: one call after the other, in a
// fixed order, until nothing moves. So a test can take the same way again and again and have another step
// of it fail each time, or the process end there.
package reconciletest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/store"
)

const (
	// patience is how many passes may go by before a test is told that there is no rest.
	patience = 400
	// quiet is how many passes without a change are a rest.
	quiet = 2
)

// Runner runs one process's reconcilers, and starts another process when one ends.
type Runner struct {
	Store  store.Store // without faults
	Faults *Faults
	// Start is the start of a process: it does what comes before the reconcilers, and returns them.
	Start func(ctx context.Context) ([]reconcile.Reconciler, error)
	// Play does between the passes what others than the process do. It may be nil.
	Play func(ctx context.Context) error
	// Twice has each reconciler called twice in a row.
	Twice bool
	// Called counts the calls of each reconciler that were given a key.
	Called map[string]int

	reconcilers []reconcile.Reconciler
	seen        map[string]map[string]store.Doc // by reconciler and watch: what its watch has told
	again       map[string]map[string]bool      // by reconciler: keys to call again without a change
	last        error                           // of the last pass
}

// Call does something in the process. When the process ends in it, the error is ErrDied, and the next call is in another one.
func (r *Runner) Call(ctx context.Context, do func() error) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	err := do()
	if r.Faults.died() {
		return ErrDied
	}
	return err
}

// start makes a process, unless there is one. A start that fails or dies is tried again, as a person would.
func (r *Runner) start(ctx context.Context) error {
	if r.reconcilers != nil && !r.Faults.died() {
		return nil
	}
	r.seen, r.again = map[string]map[string]store.Doc{}, map[string]map[string]bool{}
	var err error
	for range 3 {
		r.Faults.born()
		if r.reconcilers, err = r.Start(ctx); err == nil && !r.Faults.died() {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	for _, x := range r.reconcilers {
		for _, key := range x.Always {
			r.remember(x.Name, key)
		}
	}
	return nil
}

func (r *Runner) remember(name, key string) {
	if r.again[name] == nil {
		r.again[name] = map[string]bool{}
	}
	r.again[name][key] = true
}

// Settle calls reconcilers until nothing moves any more. done must hold then.
func (r *Runner) Settle(ctx context.Context, what string, done func() error) error {
	still := 0
	for range patience {
		before, err := r.revision(ctx)
		if err != nil {
			return err
		}
		if err := r.start(ctx); err != nil {
			return err
		}
		r.last = nil
		r.pass(ctx)
		if r.Play != nil {
			if err := r.Play(ctx); err != nil {
				return err
			}
		}
		after, err := r.revision(ctx)
		if err != nil {
			return err
		}
		if after != before || r.last != nil {
			still = 0
			continue
		}
		if still++; still >= quiet {
			if err := done(); err != nil {
				return fmt.Errorf("%s: nothing moves any more, and %w", what, err)
			}
			return nil
		}
	}
	return fmt.Errorf("%s: there is no rest; last error: %w", what, r.last)
}

func (r *Runner) revision(ctx context.Context) (int64, error) {
	_, rev, err := r.Store.List(ctx, "/none/")
	return rev, err
}

// pass has every reconciler look at what changed since its last call.
func (r *Runner) pass(ctx context.Context) {
	for _, x := range r.reconcilers {
		keys := r.again[x.Name]
		r.again[x.Name] = map[string]bool{}
		if keys == nil {
			keys = map[string]bool{}
		}
		for i, w := range x.Watches {
			events, err := r.changes(ctx, fmt.Sprintf("%s %d", x.Name, i), w.Prefix)
			if err != nil {
				r.last = err
				return
			}
			for _, e := range events {
				if w.Map == nil {
					keys[e.Key] = true
					continue
				}
				for _, key := range w.Map(ctx, e) {
					keys[key] = true
				}
			}
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if !r.reconcile(ctx, x, key) {
				return // the process is dead
			}
		}
	}
}

// reconcile calls one reconciler with one key; false: the process has ended.
func (r *Runner) reconcile(ctx context.Context, x reconcile.Reconciler, key string) bool {
	times := 1
	if r.Twice {
		times = 2
	}
	for range times {
		if r.Called != nil {
			r.Called[x.Name]++
		}
		res, err := x.Reconcile(ctx, key)
		if r.Faults.died() {
			r.last = ErrDied
			return false
		}
		if err != nil {
			r.last = fmt.Errorf("%s: %s: %w", x.Name, key, err)
		}
		if err != nil || res.After > 0 {
			r.remember(x.Name, key)
		}
	}
	return true
}

// changes are what the watch would have told since it was asked last.
func (r *Runner) changes(ctx context.Context, watch, prefix string) ([]store.Event, error) {
	docs, rev, err := r.Store.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	was, now := r.seen[watch], make(map[string]store.Doc, len(docs))
	var out []store.Event
	for _, d := range docs {
		now[d.Key] = d
		if was[d.Key].Rev != d.Rev {
			out = append(out, store.Event{Doc: d})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if _, there := now[key]; !there {
			out = append(out, store.Event{Doc: store.Doc{Key: key, Value: was[key].Value, Rev: rev}, Deleted: true})
		}
	}
	r.seen[watch] = now
	return out, nil
}

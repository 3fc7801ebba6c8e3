// Package reconcile runs reconcilers: functions that get a key, read everything
// again, and bring the world to where the store wants it. The same function runs
// at start, on change, on a timer and after errors.
package reconcile

import (
	"context"
	"time"

	"cloister.dev/cloister/internal/store"
)

// Reconciler is one kind of work.
type Reconciler struct {
	Name string // unique; shown in logs and in the graph
	// Watches say what leads to work. Every document below the prefixes is mapped at
	// start, on change, and every Resync.
	Watches []Watch
	// Always are keys that are reconciled from the start, also when nothing in the store leads to them:
	// those whose Result.After repeats them for ever.
	Always []string
	// Writes names the prefixes of the store that it writes, for the graph.
	Writes []string
	// Reconcile gets a key that a Watch made or Always names, and nothing else. It may be called at
	// any time, again and again, but never twice at once for one key. An error is
	// logged, and the key is tried again with a growing pause (up to a minute).
	Reconcile func(ctx context.Context, key string) (Result, error)
	Workers   int           // keys worked on at once; 0: 4
	Resync    time.Duration // 0: ten minutes; negative: never
}

// Watch maps changes below Prefix to keys.
type Watch struct {
	Prefix string
	// Map makes the keys to reconcile; nil: the document's own key.
	Map func(ctx context.Context, e store.Event) []string
}

// Result is what Reconcile wants next.
type Result struct {
	After time.Duration // call again with this key after so long; 0: when something changes
}

const (
	defaultWorkers = 4
	defaultResync  = 10 * time.Minute
	firstBackoff   = 100 * time.Millisecond
	maxBackoff     = time.Minute
)

func (r Reconciler) workers() int {
	if r.Workers > 0 {
		return r.Workers
	}
	return defaultWorkers
}

func (r Reconciler) resync() time.Duration {
	if r.Resync == 0 {
		return defaultResync
	}
	return r.Resync
}

func (w Watch) keys(ctx context.Context, e store.Event) []string {
	if w.Map == nil {
		return []string{e.Key}
	}
	return w.Map(ctx, e)
}

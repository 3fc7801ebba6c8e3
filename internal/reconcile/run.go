package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"k8s.io/client-go/util/workqueue"

	"cloister.dev/cloister/internal/store"
)

// Run runs the reconcilers until ctx ends, and returns when all work has stopped.
// The error is nil then; an error at once says that the list itself is wrong.
func Run(ctx context.Context, s store.Store, log *slog.Logger, reconcilers []Reconciler) error {
	if err := check(reconcilers); err != nil {
		return err
	}
	limiter := func() workqueue.TypedRateLimiter[string] {
		return workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstBackoff, maxBackoff)
	}
	var wg sync.WaitGroup
	feeds := map[string][]feed{} // by prefix: reconcilers that watch the same share one watch
	for _, r := range reconcilers {
		w := &worker{Reconciler: r, log: log.With("reconciler", r.Name), queue: workqueue.NewTypedRateLimitingQueue(limiter())}
		for _, watch := range r.Watches {
			feeds[watch.Prefix] = append(feeds[watch.Prefix], feed{worker: w, watch: watch})
		}
		for _, key := range r.Always {
			w.queue.Add(key)
		}
		for range r.workers() {
			wg.Go(func() { w.loop(ctx) })
		}
		wg.Go(func() {
			<-ctx.Done()
			w.queue.ShutDown()
		})
	}
	for prefix, fs := range feeds {
		wg.Go(func() { follow(ctx, s, log, prefix, fs) })
	}
	wg.Wait()
	return nil
}

func check(reconcilers []Reconciler) error {
	seen := map[string]bool{}
	for _, r := range reconcilers {
		switch {
		case r.Name == "" || r.Reconcile == nil:
			return errors.New("reconcile: a reconciler needs a name and a function")
		case seen[r.Name]:
			return fmt.Errorf("reconcile: two reconcilers are named %s", r.Name)
		}
		seen[r.Name] = true
		for _, w := range r.Watches {
			if w.Prefix == "" {
				return fmt.Errorf("reconcile: %s watches an empty prefix", r.Name)
			}
		}
	}
	return nil
}

// worker is one reconciler at work.
type worker struct {
	Reconciler
	log   *slog.Logger
	queue workqueue.TypedRateLimitingInterface[string]
}

func (w *worker) loop(ctx context.Context) {
	for {
		key, stop := w.queue.Get()
		if stop || ctx.Err() != nil {
			return
		}
		w.once(ctx, key)
		w.queue.Done(key)
	}
}

func (w *worker) once(ctx context.Context, key string) {
	res, err := w.call(ctx, key)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, store.ErrConflict): // somebody else wrote at the same time: read again, soon
		w.log.DebugContext(ctx, "conflict", "key", key)
		w.queue.AddRateLimited(key)
	case err != nil:
		w.log.ErrorContext(ctx, "reconcile failed", "key", key, "tries", w.queue.NumRequeues(key)+1, "error", err)
		w.queue.AddRateLimited(key)
	default:
		w.queue.Forget(key)
		if res.After > 0 {
			w.queue.AddAfter(key, res.After)
		}
	}
}

// call makes an error of a panic.
func (w *worker) call(ctx context.Context, key string) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return w.Reconcile(ctx, key)
}

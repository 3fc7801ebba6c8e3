package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"cloister.dev/cloister/internal/store"
)

// feed leads the changes of one prefix to one reconciler.
type feed struct {
	worker *worker
	watch  Watch
}

func (f feed) send(ctx context.Context, e store.Event) {
	defer func() {
		if p := recover(); p != nil {
			f.worker.log.ErrorContext(ctx, "mapping a change panicked", "key", e.Key, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	for _, key := range f.watch.keys(ctx, e) {
		f.worker.queue.Add(key)
	}
}

// follow lists what is below prefix, then sends every change, and everything
// again to each reconciler at its resync. It goes on until ctx ends.
func follow(ctx context.Context, s store.Store, log *slog.Logger, prefix string, feeds []feed) {
	rev := listUntilDone(ctx, s, log, prefix, feeds)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, f := range feeds {
		if every := f.worker.resync(); every > 0 {
			wg.Go(func() { resync(ctx, s, log, prefix, f, every) })
		}
	}
	for ctx.Err() == nil {
		for e := range s.Watch(ctx, prefix, rev) {
			for _, f := range feeds {
				f.send(ctx, e)
			}
			rev = max(rev, e.Rev)
		}
	}
}

func resync(ctx context.Context, s store.Store, log *slog.Logger, prefix string, f feed, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := list(ctx, s, prefix, []feed{f}); err != nil && ctx.Err() == nil {
				log.WarnContext(ctx, "resync", "prefix", prefix, "error", err)
			}
		}
	}
}

func listUntilDone(ctx context.Context, s store.Store, log *slog.Logger, prefix string, feeds []feed) int64 {
	for pause := firstBackoff; ; pause = min(2*pause, maxBackoff) {
		rev, err := list(ctx, s, prefix, feeds)
		if err == nil || ctx.Err() != nil {
			return rev
		}
		log.WarnContext(ctx, "listing", "prefix", prefix, "error", err)
		select {
		case <-ctx.Done():
			return 0
		case <-time.After(pause):
		}
	}
}

func list(ctx context.Context, s store.Store, prefix string, feeds []feed) (int64, error) {
	docs, rev, err := s.List(ctx, prefix)
	if err != nil {
		return 0, err
	}
	for _, d := range docs {
		for _, f := range feeds {
			f.send(ctx, store.Event{Doc: d})
		}
	}
	return rev, nil
}

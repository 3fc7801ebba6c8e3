package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloister.dev/cloister/internal/engine"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

const (
	// look is how often the daemon looks after its parts.
	look = time.Second
	// answerTime is how long a part may take to answer.
	answerTime = 3 * time.Second
)

// storePart is the process of the store, which is another's where the configuration names endpoints.
const storePart = "store's process"

// keepContainerd starts containerd again whenever it is gone. Containers run on meanwhile, and it adopts them.
func (d *daemon) keepContainerd(ctx context.Context, programs string, e *engine.Engine) {
	d.every(ctx, func() {
		if engine.Answers(d.cfg.RunDir) {
			call, cancel := context.WithTimeout(ctx, answerTime)
			defer cancel()
			d.report(ctx, "containers", e.Ping(call))
			return
		}
		d.report(ctx, "containers", errors.New("containerd does not answer: it is started again; what runs goes on"))
		start, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := engine.StartContainerd(start, d.cfg.DataDir, d.cfg.RunDir, programs); err != nil {
			d.report(ctx, "containers", fmt.Errorf("start containerd again: %w", err))
		}
	})
}

// keep applies a workload from configuration again whenever its process ended, and says how it is. While containerd is away
// nothing can be said of it: it most likely runs.
func (d *daemon) keep(ctx context.Context, e *engine.Engine, w spec.Workload, report func(error)) {
	d.every(ctx, func() {
		ping, end := context.WithTimeout(ctx, answerTime)
		defer end()
		if e.Ping(ping) != nil {
			return
		}
		call, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		st, err := e.Apply(call, w, "", nil)
		if err == nil && st.Phase != spec.PhaseRunning {
			err = fmt.Errorf("%s is %s: %s; it is started again", w.Name, st.Phase, st.Message)
		}
		report(err)
	})
}

// checkStore asks the store itself: reads come from memory, and would say nothing of its end.
func (d *daemon) checkStore(ctx context.Context, s *store.Cached) {
	d.every(ctx, func() {
		call, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		d.report(ctx, "store", s.Ping(call))
	})
}

// reporter reports on one part.
func (d *daemon) reporter(ctx context.Context, part string) func(error) {
	return func(err error) { d.report(ctx, part, err) }
}

// report remembers how a part is, and logs when it is not any more as it was.
func (d *daemon) report(ctx context.Context, part string, err error) {
	if ctx.Err() != nil {
		return
	}
	switch was := d.parts.swap(part, err); {
	case err != nil && (was == nil || was.Error() != err.Error()):
		d.log.WarnContext(ctx, "a part does not do well", "part", part, "error", err)
	case err == nil && was != nil:
		d.log.InfoContext(ctx, "a part does well", "part", part)
	}
}

// every calls f now and once a second until ctx ends.
func (d *daemon) every(ctx context.Context, f func()) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for ctx.Err() == nil {
		f()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

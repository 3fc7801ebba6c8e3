package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	eventsapi "github.com/containerd/containerd/api/events"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
)

// exits sends names until the connection to containerd breaks.
func (e *Engine) exits(ctx context.Context, out chan<- string) {
	ctx, cancel := context.WithCancel(e.ctx(ctx))
	defer cancel()
	envelopes, errs := e.client.Subscribe(ctx, `topic=="/tasks/exit"`)
	// While nobody listened, processes may have ended.
	ended, err := e.ended(ctx)
	if err != nil && ctx.Err() == nil {
		e.Log.WarnContext(ctx, "look for containers whose process ended", "error", err)
	}
	for _, name := range ended {
		select {
		case out <- name:
		case <-ctx.Done():
			return
		}
	}
	for {
		var env *events.Envelope
		select {
		case env = <-envelopes:
		case err := <-errs:
			if err != nil && ctx.Err() == nil {
				e.Log.WarnContext(ctx, "containerd sends no events", "error", err)
			}
			return
		case <-ctx.Done():
			return
		}
		if env == nil || env.Event == nil {
			continue
		}
		v, err := typeurl.UnmarshalAny(env.Event)
		exit, ok := v.(*eventsapi.TaskExit)
		// A process that was started inside (exec) is not the container's own.
		if err != nil || !ok || exit.ID != exit.ContainerID {
			continue
		}
		select {
		case out <- exit.ContainerID:
		case <-ctx.Done():
			return
		}
	}
}

// ended lists the containers that had a process and have none that runs.
func (e *Engine) ended(ctx context.Context) ([]string, error) {
	containers, err := e.client.Containers(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range containers {
		task, err := c.Task(ctx, nil)
		if err != nil && !errdefs.IsNotFound(err) {
			return out, err
		}
		if err == nil {
			st, err := task.Status(ctx)
			if err == nil && st.Status != containerd.Stopped {
				continue
			}
		}
		out = append(out, c.ID())
	}
	return out, nil
}

// Logs copies what a container printed to w; with follow also what it prints until ctx ends.
func (e *Engine) Logs(ctx context.Context, name string, follow bool, w io.Writer) error {
	return CopyLog(ctx, e.logFile(name), follow, w)
}

// CopyLog copies a log file, and goes on when it was rotated.
func CopyLog(ctx context.Context, path string, follow bool, w io.Writer) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no log at %s: `cloister status` shows the names", path)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.Copy(w, f); err != nil || !follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := os.Stat(path)
		if err != nil {
			continue // between two files
		}
		if old, err := f.Stat(); err == nil && !os.SameFile(old, now) {
			next, err := os.Open(path)
			if err != nil {
				return err
			}
			_ = f.Close()
			f = next
		}
	}
}

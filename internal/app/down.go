package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/engine"
	"cloister.dev/cloister/internal/fabric"
)

// Down stops the daemon, every container and containerd, and takes Cloister's
// network out of the host. With purge the data goes, too. It is safe to repeat.
func Down(ctx context.Context, c config.Config, purge bool, say Progress) error {
	if os.Geteuid() != 0 {
		return errors.New("down: needs root: sudo cloister down")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := stopDaemon(ctx, c, say); err != nil {
		return err
	}
	if engine.Answers(c.RunDir) {
		if err := stopContainers(ctx, c, purge, say); err != nil {
			return err
		}
	}
	if err := engine.StopContainerd(ctx, c.RunDir); err != nil {
		return err
	}
	// What containerd left when it died, or when the machine went down with it.
	if err := engine.Clear(ctx, c.DataDir, c.RunDir, c.Cgroup); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.RunDir, "netns")); err == nil {
		f, err := fabric.New(fabric.Options{RunDir: c.RunDir})
		if err != nil {
			return err
		}
		if err := f.Down(ctx); err != nil {
			return err
		}
		say("the host's network is as before")
	}
	if err := restoreKernel(c, say); err != nil {
		return err
	}
	if err := os.RemoveAll(c.RunDir); err != nil {
		return err
	}
	if purge {
		if err := os.RemoveAll(c.DataDir); err != nil {
			return err
		}
		say("all data is removed; built artefacts are still in %s", c.CacheDir)
	}
	return nil
}

func stopDaemon(ctx context.Context, c config.Config, say Progress) error {
	b, err := os.ReadFile(pidFile(c))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("%s: %w", pidFile(c), err)
	}
	// The daemon holds the lock while it runs: if it is free, the number is nobody's or somebody else's.
	if f, err := lockExclusive(lockFile(c)); err == nil {
		return errors.Join(f.Close(), os.Remove(pidFile(c)))
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the daemon: %w", err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if f, err := lockExclusive(lockFile(c)); err == nil {
			say("the daemon has ended")
			return f.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the daemon (process %d) does not end", pid)
		case <-tick.C:
		}
	}
}

// stopContainers ends all containers, nodes and control planes before the store.
func stopContainers(ctx context.Context, c config.Config, purge bool, say Progress) error {
	e, err := engine.New(engine.Options{DataDir: c.DataDir, RunDir: c.RunDir, Cgroup: c.Cgroup, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }()
	names, err := e.List(ctx)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		say("stopping %d containers", len(names))
	}
	end := e.Stop
	if purge {
		end = e.Remove
	}
	var wg sync.WaitGroup
	errs := make([]error, len(names))
	for i, name := range names {
		if name != storeWorkload {
			wg.Go(func() { errs[i] = end(ctx, name) })
		}
	}
	wg.Wait()
	for i, name := range names {
		if name == storeWorkload {
			errs[i] = end(ctx, name)
		}
	}
	return errors.Join(errs...)
}

package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
)

// What stays free of the disk that holds the data directory: nodes evict pods when
// less than 1 GiB is left, and the store must be able to write down deletes.
const (
	keepFree    = 1 << 30
	lowWater    = 64 << 20  // with less than this the ballast goes
	ballastSize = 128 << 20 // two of etcd's log segments
	diskCheck   = 5 * time.Second
)

// spacer is a store that knows its room: internal/store.Etcd does.
type spacer interface {
	Space(ctx context.Context) (used, quota int64, err error)
}

// room refuses what the disk or the store cannot hold.
type room struct {
	dir   string
	store any // a spacer, or a store that does not know
	free  func(dir string) (int64, error)
}

func newRoom(c config.Config, s any) *room { return &room{dir: c.DataDir, store: s, free: freeSpace} }

// check is nil if so many bytes more fit, and an *arm.Error with the figures if not.
func (r *room) check(ctx context.Context, space int64) error {
	free, err := r.free(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // where nothing is, nothing is kept
		return fmt.Errorf("free space of %s: %w", r.dir, err)
	}
	if need := keepFree + space; err == nil && free < need {
		return arm.Errorf(http.StatusInsufficientStorage, "InsufficientStorage",
			"The disk at %s has %s free, and this needs %s: %s for itself and %s that stay free for what runs. Delete what is not needed, or give the disk more room. Nothing was changed.",
			r.dir, size(free), size(need), size(space), size(keepFree))
	}
	s, ok := r.store.(spacer)
	if !ok {
		return nil
	}
	used, quota, err := s.Space(ctx)
	if err != nil {
		return err
	}
	// The last fifth is for deletes and for what is under way.
	if quota > 0 && used > quota/5*4 {
		return arm.Errorf(http.StatusInsufficientStorage, "InsufficientStorage",
			"Cloister's store holds %s of at most %s, and keeps the last fifth for deletes and what is under way. Delete what is not needed. Nothing was changed.", size(used), size(quota))
	}
	return nil
}

// freeSpace is how many bytes a service may still write in the file system of dir.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

func size(bytes int64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}

// ballast is a file that takes room as long as there is enough, and is given up when there is none: then deletes can
// be written down although others have filled the disk.
type ballast struct {
	file string
	free func(dir string) (int64, error)
}

func newBallast(c config.Config) *ballast {
	return &ballast{file: filepath.Join(c.DataDir, "ballast"), free: freeSpace}
}

// keep makes or gives up the file, as the room is. It returns what to tell people, nil: all is well.
func (b *ballast) keep() (problem, err error) {
	dir := filepath.Dir(b.file)
	free, err := b.free(dir)
	if err != nil {
		return nil, err
	}
	if free < lowWater {
		if err := os.Remove(b.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if free < keepFree {
		return fmt.Errorf("the disk at %s has %s free: nothing new is made until there are %s", dir, size(free), size(keepFree)), nil
	}
	if _, err := os.Stat(b.file); err == nil || free < keepFree+ballastSize {
		return nil, nil
	}
	return nil, b.make()
}

func (b *ballast) make() (err error) {
	f, err := os.OpenFile(b.file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, ballastSize); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%s: %w", b.file, err)
	}
	return nil
}

// watchDisk keeps the ballast, and shows in the status when the disk is full.
func watchDisk(ctx context.Context, c config.Config, show func(name string, err error), log *slog.Logger) error {
	b := newBallast(c)
	tick := time.NewTicker(diskCheck)
	defer tick.Stop()
	for {
		problem, err := b.keep()
		if err != nil {
			log.WarnContext(ctx, "watch the disk", "error", err)
		}
		show("disk", problem)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

package dns

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// watch tells of changes in the file's folder until ctx ends. Where the kernel has no
// watch to give, it ticks often instead.
func watch(ctx context.Context, file string, log *slog.Logger) <-chan struct{} {
	out := make(chan struct{}, 1)
	events, err := inotify(filepath.Dir(file))
	if err != nil {
		log.WarnContext(ctx, "changes are found by looking often", "error", err)
		go tick(ctx, out)
		return out
	}
	context.AfterFunc(ctx, func() { _ = events.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			// What has happened is not looked at: every event means to look at the file.
			if _, err := events.Read(buf); err != nil {
				return
			}
			tell(out)
		}
	}()
	return out
}

func inotify(dir string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_CLOSE_WRITE); err != nil {
		_ = unix.Close(fd)
		return nil, &os.PathError{Op: "inotify_add_watch", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), "inotify"), nil
}

func tick(ctx context.Context, out chan<- struct{}) {
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			tell(out)
		}
	}
}

// tell leaves one note, whether one is there or not.
func tell(out chan<- struct{}) {
	select {
	case out <- struct{}{}:
	default:
	}
}

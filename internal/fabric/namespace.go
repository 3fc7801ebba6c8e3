package fabric

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// pins is the folder of pinned network namespaces. It is a mount of its own with
// shared propagation: what is pinned later is seen by containers that have the folder.
type pins struct{ dir string }

func (p pins) path(name string) string { return filepath.Join(p.dir, name) }

// setUp makes the folder and its mount, if they are not there.
func (p pins) setUp() error {
	if err := os.MkdirAll(p.dir, 0o711); err != nil {
		return err
	}
	mounted, err := isMountPoint(p.dir)
	if err != nil {
		return err
	}
	if !mounted {
		if err := unix.Mount(p.dir, p.dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on itself: %w", p.dir, err)
		}
	}
	if err := unix.Mount("", p.dir, "", unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share the mounts below %s: %w", p.dir, err)
	}
	return nil
}

// tearDown removes every pin and the folder.
func (p pins) tearDown() error {
	names, err := p.list()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := p.remove(name); err != nil {
			return err
		}
	}
	if err := unix.Unmount(p.dir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", p.dir, err)
	}
	if err := os.Remove(p.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (p pins) list() ([]string, error) {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}

// ensure makes the namespace unless it is pinned, and tells whether it is new. prepare runs in a new one
// before it is pinned: who finds a pin finds a namespace that is ready.
func (p pins) ensure(name string, prepare func() error) (fresh bool, err error) {
	path := p.path(name)
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err == nil && st.Type == unix.NSFS_MAGIC {
		return false, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return false, err
	}
	if err := f.Close(); err != nil {
		return false, err
	}
	done := make(chan error, 1)
	go func() {
		// The thread is given up: it stays in the new namespace, and ends with this goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("make network namespace %s: %w", name, err)
			return
		}
		if err := prepare(); err != nil {
			done <- fmt.Errorf("prepare network namespace %s: %w", name, err)
			return
		}
		own := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		if err := unix.Mount(own, path, "", unix.MS_BIND, ""); err != nil {
			done <- fmt.Errorf("pin network namespace %s: %w", name, err)
			return
		}
		done <- nil
	}()
	if err := <-done; err != nil {
		return false, errors.Join(err, os.Remove(path))
	}
	return true, nil
}

func (p pins) remove(name string) error {
	path := p.path(name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unpin network namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// inNamespace calls fn on a thread that is in the namespace at path; "" is the
// caller's own. Sockets that fn opens stay in that namespace.
func inNamespace(path string, fn func() error) error {
	if path == "" {
		return fn()
	}
	target, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = home.Close() }()
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter network namespace %s: %w", path, err)
			return
		}
		err = fn()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread() // else the thread ends with the goroutine
		}
		done <- err
	}()
	return <-done
}

func isMountPoint(dir string) (bool, error) {
	var own, parent unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID, &own); err != nil {
		return false, err
	}
	if err := unix.Statx(unix.AT_FDCWD, filepath.Dir(dir), 0, unix.STATX_MNT_ID, &parent); err != nil {
		return false, err
	}
	return own.Mnt_id != parent.Mnt_id, nil
}

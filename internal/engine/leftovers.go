package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Clear ends what is left of containers and their shims when containerd cannot
// do it any more, and unmounts everything below containerd's own two directories. containerd must have ended.
// It is safe to repeat, and does nothing where nothing is left.
func Clear(ctx context.Context, dataDir, runDir, cgroup string) error {
	tasks, err := filepath.Glob(filepath.Join(stateDir(runDir), "io.containerd.runtime.v2.task", namespace, "*"))
	if err != nil {
		return err
	}
	// The shims first: they would report, and wait.
	if err := endAll(ctx, func() ([]int, error) { return shims(runDir) }); err != nil {
		return fmt.Errorf("end the containers' shims: %w", err)
	}
	for _, task := range tasks {
		group := cgroup + "/" + filepath.Base(task)
		if err := endAll(ctx, func() ([]int, error) { return members(group) }); err != nil {
			return fmt.Errorf("end the processes of %s: %w", filepath.Base(task), err)
		}
		if err := removeCgroups(group); err != nil {
			return err
		}
	}
	for group := cgroup; group != "/"; group = filepath.Dir(group) {
		if err := removeGroup(group); err != nil {
			return err
		}
	}
	return errors.Join(unmountBelow(filepath.Join(runDir, "containerd")), unmountBelow(rootDir(dataDir)))
}

// removeGroup removes a cgroup in which other containers' may have been, unless something is in it now.
func removeGroup(cgroup string) error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*" + cgroup)
	if err != nil {
		return err
	}
	for _, root := range append(roots, "/sys/fs/cgroup"+cgroup) {
		if err := os.Remove(root); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
	}
	return nil
}

// endAll kills what find finds, until it finds nothing.
func endAll(ctx context.Context, find func() ([]int, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := find()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v do not end: %w", pids, ctx.Err())
		case <-tick.C:
		}
	}
}

// members are the processes in a cgroup and below it, in every hierarchy.
func members(cgroup string) ([]int, error) {
	roots, err := filepath.Glob("/sys/fs/cgroup/*" + cgroup)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, root := range append(roots, "/sys/fs/cgroup"+cgroup) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "cgroup.procs" {
				return ignoreGone(err)
			}
			text, err := os.ReadFile(path)
			for _, field := range strings.Fields(string(text)) {
				// 0 is a process that this one cannot see.
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					out = append(out, pid)
				}
			}
			return ignoreGone(err)
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func unmountBelow(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) { // the last one lies on top
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", m.Mountpoint, err)
		}
	}
	return nil
}

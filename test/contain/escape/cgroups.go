package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/test/contain"
)

var cgroupAttempts = map[string]attempt{
	// With version 1, a hierarchy's root names a program that the kernel starts when a group becomes empty.
	"cgroup: release_agent": func(contain.Targets) error {
		files, err := filepath.Glob("/sys/fs/cgroup/*/release_agent")
		if err != nil {
			return err
		}
		for _, file := range files {
			fd, err := unix.Open(file, unix.O_WRONLY, 0)
			if err == nil {
				return unix.Close(fd)
			}
		}
		return fmt.Errorf("%d files", len(files))
	},
	"cgroup: release_agent by a new mount": func(contain.Targets) error {
		return mounted("cgroup", "cgroup", "memory", func(dir string) error { return writable1(dir + "/release_agent") })
	},
	"cgroup: release_agent in a mount's options": func(t contain.Targets) error {
		if t.Control {
			return errOther // would set it
		}
		return mounted("cgroup", "cgroup", "memory", func(dir string) error {
			return unix.Mount("cgroup", dir, "cgroup", unix.MS_REMOUNT, "memory,release_agent=/escape")
		})
	},
	"cgroup: a hierarchy of one's own": func(t contain.Targets) error {
		if t.Control {
			return errOther // would stay
		}
		return mounted("cgroup", "none", "none,name=cloister-escape", func(string) error { return nil })
	},
	"cgroup: the root of version 2": func(contain.Targets) error {
		return mounted("cgroup2", "none", "", func(dir string) error {
			// The root alone is of no type: https://docs.kernel.org/admin-guide/cgroup-v2.html
			if _, err := os.Stat(dir + "/cgroup.type"); err == nil {
				return errOther
			}
			return nil
		})
	},
}

func writable1(path string) error {
	fd, err := unix.Open(path, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// mounted mounts a file system where nobody else sees it, and looks into it.
func mounted(kind, source, options string, look func(dir string) error) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	dir, err := os.MkdirTemp(scratch(), "escape-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(dir) }()
	if err := unix.Mount(source, dir, kind, 0, options); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return errors.Join(look(dir), unix.Unmount(dir, unix.MNT_DETACH))
}

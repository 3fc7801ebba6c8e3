package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/test/contain"
)

// mountAttempts mount what the kernel has one of.
var mountAttempts = map[string]attempt{
	// A disk that the machine has mounted is not opened again.
	"mount: the root's disk": func(t contain.Targets) error {
		var major, minor uint32
		if _, err := fmt.Sscanf(t.RootDisk, "%d:%d", &major, &minor); err != nil {
			return err
		}
		node := scratch() + "/escape-disk"
		if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(major, minor))); err != nil {
			return err
		}
		defer func() { _ = os.Remove(node) }()
		return mounted(t.RootType, node, "", func(dir string) error { return read(t, dir+t.File) })
	},
	"mount: another disk": func(t contain.Targets) error {
		var major, minor uint32
		if _, err := fmt.Sscanf(t.Disk, "%d:%d", &major, &minor); err != nil {
			return err
		}
		node := scratch() + "/escape-disk"
		if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(major, minor))); err != nil {
			return err
		}
		defer func() { _ = os.Remove(node) }()
		return mounted("ext4", node, "", func(string) error { return nil })
	},
	"mount: proc, then a setting": func(contain.Targets) error {
		return mounted("proc", "proc", "", func(dir string) error { return writable(dir + "/sys/kernel/core_pattern") })
	},
	"mount: proc, then processes": func(t contain.Targets) error {
		return mounted("proc", "proc", "", func(dir string) error {
			_, err := processOf(t, dir)
			return err
		})
	},
	"mount: sysfs, then a setting": func(contain.Targets) error {
		// Each network namespace has one, which is read-only or not.
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return mounted("sysfs", "sysfs", "", func(dir string) error { return writable(dir + "/kernel/profiling") })
	},
	"mount: devtmpfs": func(contain.Targets) error {
		return mounted("devtmpfs", "devtmpfs", "", func(string) error { return nil })
	},
	"mount: debugfs": func(contain.Targets) error {
		return mounted("debugfs", "debugfs", "", func(string) error { return nil })
	},
	"mount: tracefs": func(contain.Targets) error {
		return mounted("tracefs", "tracefs", "", func(string) error { return nil })
	},
}

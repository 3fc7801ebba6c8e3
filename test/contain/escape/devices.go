package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/test/contain"
)

var deviceAttempts = map[string]attempt{
	"device: a disk":          func(t contain.Targets) error { return openDevice(unix.S_IFBLK, t.Disk) },
	"device: the root's disk": func(t contain.Targets) error { return openDevice(unix.S_IFBLK, t.RootDisk) },
	"device: a disk, with a rule of one's own": func(t contain.Targets) error {
		if t.Control {
			return openDevice(unix.S_IFBLK, t.Disk) // the machine's rules stay as they are
		}
		return withRule("b *:* rwm", func() error { return openDevice(unix.S_IFBLK, t.Disk) })
	},
	"device: a terminal": func(t contain.Targets) error { return openDevice(unix.S_IFCHR, t.Terminal) },
	// https://docs.kernel.org/admin-guide/devices.html
	"device: console":             character("5:1"),
	"device: memory":              character("1:1"),
	"device: ports":               character("1:4"),
	"device: the log":             character("1:11"),
	"device: the screen":          character("4:1"),
	"device: KVM":                 character("10:232"),
	"device: loops":               character("10:237"),
	"device: fuse":                character("10:229"),
	"device: device mapper":       character("10:236"),
	"device: input":               character("10:223"),
	"device: vhost":               character("10:238"),
	"device: CPU registers":       character("202:0"),
	"device: vfio":                character("10:196"),
	"device: non-volatile memory": character("10:144"),
}

func character(number string) attempt {
	return func(contain.Targets) error { return openDevice(unix.S_IFCHR, number) }
}

// openDevice makes a device's node, and opens it for reading.
func openDevice(kind uint32, number string) (err error) {
	var major, minor uint32
	if _, err := fmt.Sscanf(number, "%d:%d", &major, &minor); err != nil {
		return fmt.Errorf("device %q: %w", number, err)
	}
	dir, err := os.MkdirTemp(scratch(), "escape-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "device")
	if err := unix.Mknod(path, kind|0o600, int(unix.Mkdev(major, minor))); err != nil {
		return fmt.Errorf("mknod: %w", err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return unix.Close(fd)
}

// scratch is a folder where nodes of devices can be opened.
func scratch() string {
	for _, dir := range []string{"/dev/shm", "/var/lib", "/", "/tmp"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Flags&(unix.ST_NODEV|unix.ST_RDONLY) == 0 {
			return dir
		}
	}
	return ""
}

// withRule tries after every group that can be written has been given a rule for devices (cgroup v1).
func withRule(rule string, try func() error) error {
	files, err := filepath.Glob("/sys/fs/cgroup/devices/*devices.allow")
	if err != nil {
		return err
	}
	more, err := filepath.Glob("/sys/fs/cgroup/devices/*/devices.allow")
	if err != nil {
		return err
	}
	var refused error
	for _, file := range append(files, more...) {
		refused = errors.Join(refused, os.WriteFile(file, []byte(rule), 0))
	}
	if err := try(); err != nil {
		return errors.Join(err, refused)
	}
	return nil
}

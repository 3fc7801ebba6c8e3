package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/test/contain"
)

// namespaceAttempts are whether the guest shares a namespace with the machine, and gets into one.
var namespaceAttempts = map[string]attempt{
	"namespace: mnt":    shared("mnt"),
	"namespace: pid":    shared("pid"),
	"namespace: net":    shared("net"),
	"namespace: uts":    shared("uts"),
	"namespace: ipc":    shared("ipc"),
	"namespace: cgroup": shared("cgroup"),
	// The first process that can be seen is the machine's only where there is nothing between.
	"namespace: mnt of the first process":    entered("mnt", unix.CLONE_NEWNS),
	"namespace: net of the first process":    entered("net", unix.CLONE_NEWNET),
	"namespace: uts of the first process":    entered("uts", unix.CLONE_NEWUTS),
	"namespace: ipc of the first process":    entered("ipc", unix.CLONE_NEWIPC),
	"namespace: cgroup of the first process": entered("cgroup", unix.CLONE_NEWCGROUP),
}

func shared(kind string) attempt {
	return func(t contain.Targets) error {
		own, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			return err
		}
		if own != t.Namespaces[kind] {
			return errOther
		}
		return nil
	}
}

func entered(kind string, flag int) attempt {
	return func(t contain.Targets) error {
		first := 1
		if t.Control {
			first = t.PID // not every machine lets its first process be entered
		}
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", first, kind), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		// A thread that shares its folder with others may not change its mounts.
		if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(fd, flag)); err != nil {
			return err
		}
		own, err := os.Readlink("/proc/thread-self/ns/" + kind)
		if err != nil {
			return err
		}
		if own != t.Namespaces[kind] {
			return errOther
		}
		return nil
	}
}

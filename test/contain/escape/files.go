package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/test/contain"
)

const up = "../../../../../../../../../../../../../../.."

var fileAttempts = map[string]attempt{
	"file: by its path": func(t contain.Targets) error { return read(t, t.File) },
	// What each process that can be seen has as its root, as its folder, and open.
	"file: through other processes": func(t contain.Targets) error {
		roots, err := filepath.Glob("/proc/[0-9]*/root")
		if err != nil {
			return err
		}
		folders, err := filepath.Glob("/proc/[0-9]*/cwd")
		if err != nil {
			return err
		}
		files, err := filepath.Glob("/proc/[0-9]*/fd/[0-9]*")
		if err != nil {
			return err
		}
		refused := errors.New("no process has a way")
		for _, path := range roots {
			if err := read(t, path+t.File); err == nil {
				return nil
			}
		}
		for _, path := range append(folders, files...) {
			if st, err := os.Stat(path); err == nil && st.IsDir() && read(t, path+"/"+up+t.File) == nil {
				return nil
			}
		}
		return refused
	},
	"file: out of a changed root": func(t contain.Targets) error {
		here, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp(scratch(), "escape-")
		if err != nil {
			return err
		}
		if err := errors.Join(unix.Chroot(dir), unix.Fchdir(here), unix.Chdir(up), unix.Chroot(".")); err != nil {
			return err
		}
		return read(t, t.File)
	},
	// The inodes of the machine's disk have numbers, and a guest's volumes lie on it.
	"file: by its handle": func(t contain.Targets) error {
		volume := t.Volume
		if volume == "" {
			volume = "/"
		}
		mount, err := unix.Open(volume, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		fd, err := unix.OpenByHandleAt(mount, unix.NewFileHandle(t.HandleType, t.Handle), unix.O_RDONLY)
		if err != nil {
			return err
		}
		b := make([]byte, 64)
		n, err := unix.Read(fd, b)
		if err != nil {
			return err
		}
		return secretOf(t, b[:n])
	},
	"file: a process's arguments": func(t contain.Targets) error {
		_, err := processOf(t, "/proc")
		return err
	},
	"file: the kernel's memory": func(contain.Targets) error {
		f, err := os.Open("/proc/kcore")
		if err != nil {
			return err
		}
		return f.Close()
	},
	"file: the kernel's symbols": symbols,
	"socket: by its path":        dial("unix", func(t contain.Targets) string { return t.Socket }),
	"socket: by its name":        dial("unix", func(t contain.Targets) string { return "@" + t.Abstract }),
	"socket: on the loopback":    dial("tcp", func(t contain.Targets) string { return "127.0.0.1:" + strconv.Itoa(t.Port) }),
	"process: signal": func(t contain.Targets) error {
		if err := unix.Kill(t.PID, 0); err != nil {
			return err
		}
		return theirs(t)
	},
	"process: by a file": func(t contain.Targets) error {
		fd, err := unix.PidfdOpen(t.PID, 0)
		if err != nil {
			return err
		}
		return errors.Join(theirs(t), unix.Close(fd))
	},
	"process: trace": func(t contain.Targets) error {
		if err := theirs(t); err != nil {
			return err
		}
		// As a debugger that looks on: the process is not stopped.
		if err := unix.PtraceSeize(t.PID); err != nil {
			return err
		}
		return nil
	},
	"process: memory": func(t contain.Targets) error {
		if err := theirs(t); err != nil {
			return err
		}
		f, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.PID))
		if err != nil {
			return err
		}
		return f.Close()
	},
}

func read(t contain.Targets, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return secretOf(t, b)
}

// theirs says whether the number of the machine's process is that process here.
func theirs(t contain.Targets) error {
	pid, err := processOf(t, "/proc")
	if err != nil {
		return err
	}
	if pid != t.PID {
		return errOther
	}
	return nil
}

// processOf looks for the machine's process among those that a proc shows.
func processOf(t contain.Targets, proc string) (int, error) {
	files, err := filepath.Glob(proc + "/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		args, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(args, []byte("\x00"+t.Process+"\x00")) {
			continue
		}
		return strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(file, proc+"/"), "/cmdline"))
	}
	return 0, fmt.Errorf("none of %d processes is it", len(files))
}

func dial(network string, address func(contain.Targets) string) attempt {
	return func(t contain.Targets) error {
		c, err := net.DialTimeout(network, address(t), 5*time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// symbols reads the kernel's table of them: the addresses are zeros for those who may not know them.
func symbols(contain.Targets) error {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var address uint64
	if _, err := fmt.Fscanf(f, "%x ", &address); err != nil {
		return err
	}
	// The first symbol's may be zero in truth; not the second's.
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if _, err := fmt.Sscanf(lines.Text(), "%x ", &address); err == nil && address > 1<<32 {
			return nil
		}
	}
	return unix.EPERM
}

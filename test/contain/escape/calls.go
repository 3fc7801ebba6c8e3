package main

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/test/contain"
)

const (
	noMagic    = 0x0badc0de
	noFlags    = 0xffff0000
	syncQuotas = 0x800001 // QCMD(Q_SYNC, USRQUOTA)
	readLog    = 3        // SYSLOG_ACTION_READ_ALL
)

// callAttempts are calls that concern the whole machine. Where the caller may make them, the arguments are wrong:
// the rights are looked at first.
var callAttempts = map[string]attempt{
	"call: init_module":     call(unix.SYS_INIT_MODULE, 0, 0, 0),
	"call: finit_module":    call(unix.SYS_FINIT_MODULE, ^uintptr(0), 0, 0),
	"call: delete_module":   withName(unix.SYS_DELETE_MODULE, "cloister-no-such-module", unix.O_NONBLOCK),
	"call: kexec_load":      call(unix.SYS_KEXEC_LOAD, 0, 0, 0, noFlags),
	"call: kexec_file_load": call(unix.SYS_KEXEC_FILE_LOAD, ^uintptr(0), ^uintptr(0), 0, 0, noFlags),
	"call: reboot":          call(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, noMagic, unix.LINUX_REBOOT_CMD_CAD_OFF),
	"call: settimeofday": func(contain.Targets) error {
		zone := [2]int32{10_000, 0} // minutes west: more than there are
		_, _, errno := unix.Syscall(unix.SYS_SETTIMEOFDAY, 0, uintptr(unsafe.Pointer(&zone)), 0)
		return permitted(errno)
	},
	"call: adjtimex": func(contain.Targets) error {
		var now unix.Timex
		if _, err := unix.Adjtimex(&now); err != nil {
			return err
		}
		_, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_TICK, Tick: now.Tick}) // as it is
		return permitted(err)
	},
	"call: clock_adjtime": func(contain.Targets) error {
		var now unix.Timex
		if _, err := unix.Adjtimex(&now); err != nil {
			return err
		}
		_, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &unix.Timex{Modes: unix.ADJ_TICK, Tick: now.Tick})
		return permitted(err)
	},
	"call: swapon":                 withName(unix.SYS_SWAPON, "/no-such-file", 0),
	"call: swapoff":                withName(unix.SYS_SWAPOFF, "/no-such-file", 0),
	"call: acct":                   withName(unix.SYS_ACCT, "/no-such-file", 0),
	"call: quotactl":               call(unix.SYS_QUOTACTL, syncQuotas, 0, 0, 0),
	"call: iopl":                   call(unix.SYS_IOPL, 3, 0, 0),
	"call: ioperm":                 call(unix.SYS_IOPERM, 0x80, 1, 1),
	"call: bpf, a tracing program": call(unix.SYS_BPF, unix.BPF_RAW_TRACEPOINT_OPEN, 0, 0),
	"call: bpf, a link":            call(unix.SYS_BPF, unix.BPF_LINK_CREATE, 0, 0),
	"call: perf_event_open":        call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0),
	"call: fanotify_init":          call(unix.SYS_FANOTIFY_INIT, noFlags, 0, 0),
	"call: io_uring_setup":         call(unix.SYS_IO_URING_SETUP, 0, 0, 0),
	"call: userfaultfd":            opens(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0),
	"call: the log": func(contain.Targets) error {
		_, err := unix.Klogctl(readLog, make([]byte, 1))
		return err
	},
	// Sockets to the machine that this one is a guest of know no network namespaces.
	"call: vsock": opens(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0),
	// A process in real time goes before all others of the machine.
	"call: real time": func(contain.Targets) error {
		err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0)
		if err != nil {
			return err
		}
		return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0)
	},
	"call: keys of user 0": func(t contain.Targets) error {
		id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", t.Key, 0)
		if err != nil {
			return err
		}
		secret := make([]byte, 64)
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, secret, 0)
		if err != nil {
			return err
		}
		return secretOf(t, secret[:min(n, len(secret))])
	},
	"call: a key of user 0 by its name": func(t contain.Targets) error {
		_, err := unix.RequestKey("user", t.Key, "", 0)
		return err
	},
	"call: a key for user 0": func(t contain.Targets) error {
		id, err := unix.AddKey("user", t.Key+"-more", []byte("x"), unix.KEY_SPEC_USER_KEYRING)
		if err != nil {
			return err
		}
		_, err = unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0)
		return err
	},
}

func call(number uintptr, args ...uintptr) attempt {
	return func(contain.Targets) error {
		var a [6]uintptr
		copy(a[:], args)
		_, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
		return permitted(errno)
	}
}

func withName(number uintptr, name string, arg uintptr) attempt {
	return func(contain.Targets) error {
		p, err := unix.BytePtrFromString(name)
		if err != nil {
			return err
		}
		_, _, errno := unix.Syscall(number, uintptr(unsafe.Pointer(p)), arg, 0)
		return permitted(errno)
	}
}

// opens is for calls that return a file.
func opens(number uintptr, args ...uintptr) attempt {
	return func(contain.Targets) error {
		fd, _, errno := unix.Syscall(number, args[0], args[1], args[2])
		if errno != 0 {
			return errno
		}
		return unix.Close(int(fd))
	}
}

var errOther = errors.New("something, but not the machine's")

// secretOf says whether what was read is the machine's.
func secretOf(t contain.Targets, got []byte) error {
	if string(got) != t.Secret {
		return errOther
	}
	return nil
}

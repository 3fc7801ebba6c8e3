// Package nsrun runs a program of this machine inside a network namespace, with a
// resolver and a mount namespace of its own, and optionally in another root file system.
package nsrun

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bind is a file or folder that is the same inside. What it is laid over is made
// if it is not there. A Target of "/" is left out: the root is RootFS.
type Bind struct {
	Source   string
	Target   string
	ReadOnly bool
}

// Options say what to run and where.
type Options struct {
	NetNS    string     // path of a pinned namespace; "": the caller's network
	Resolver netip.Addr // the only name server inside; zero: as outside
	Search   []string   // domains to complete names with; only with Resolver
	// RootFS is the root of the file system inside; "": the machine's. What the program
	// writes there is gone with it; what it writes into Binds and /tmp stays.
	RootFS string
	Binds  []Bind // only with RootFS
	Env    []string
	Dir    string // working folder inside; "": the caller's, or with RootFS its root
	Args   []string
}

// order is what the second half gets.
type order struct {
	Options
	Identity *Identity // nil: the caller's own
	Terminal bool
	Own      bool // in a user namespace of the caller's own, see unprivileged
}

// marker is the name by which the program calls itself for the second half.
const marker = "cloister-nsrun"

// patience is how long the program has to end after ctx did.
const patience = 5 * time.Second

// Run runs the program with this process's standard streams and terminal and returns its exit
// status: 128 plus the number of the signal that ended it, 126 when it could not be run and 127 when it was not found.
//
// Signals that reach this process are passed on. When ctx ends (otherwise than by such a signal, see
// signal.NotifyContext) the program is asked to end, and killed if it does not. The calling
// program must call EnterIfAsked at the begin of main.
func Run(ctx context.Context, o Options) (int, error) {
	if len(o.Args) == 0 || o.Args[0] == "" {
		return 0, errors.New("nsrun: no command")
	}
	if ctx.Err() != nil {
		return 0, fmt.Errorf("nsrun: %w", context.Cause(ctx))
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("nsrun: %w", err)
	}
	defer func() { _ = r.Close() }()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{marker}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{r}
	// The mount namespace is the child's own, and nothing that it mounts is seen outside.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	own := os.Geteuid() != 0
	if own {
		cmd.SysProcAttr = unprivileged()
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH)
	defer signal.Stop(signals)
	if err := startIn(o.NetNS, cmd); err != nil {
		_ = w.Close()
		return 0, fmt.Errorf("nsrun: %w", err)
	}
	// Not JSON: arguments and variables may be any bytes.
	err = gob.NewEncoder(w).Encode(order{Options: o, Own: own})
	if err = errors.Join(err, w.Close()); err != nil && !errors.Is(err, syscall.EPIPE) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 0, fmt.Errorf("nsrun: %w", err)
	}
	return wait(ctx, cmd, signals)
}

// unprivileged has a caller who is not root lay out a root of its own, in a user namespace in which it is the one
// user, with the right to mount and to change the root. It loses both before the program starts.
func unprivileged() *syscall.SysProcAttr {
	uid, gid := os.Geteuid(), os.Getegid()
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_DAC_OVERRIDE},
	}
}

// wait passes signals on until the program has ended.
func wait(ctx context.Context, cmd *exec.Cmd, signals <-chan os.Signal) (int, error) {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	done := ctx.Done()
	var kill <-chan time.Time
	for {
		select {
		case s := <-signals:
			// With a terminal, its whole foreground group got these already.
			if s != syscall.SIGINT && s != syscall.SIGQUIT && s != syscall.SIGWINCH || !isTerminal() {
				_ = cmd.Process.Signal(s)
			}
		case <-done:
			done = nil
			if !bySignal(ctx) {
				_ = cmd.Process.Signal(syscall.SIGTERM)
				kill = time.After(patience)
			}
		case <-kill:
			_ = cmd.Process.Kill()
		case err := <-ended:
			return status(err)
		}
	}
}

// bySignal tells whether a signal ended ctx: the program gets that signal, and decides itself.
func bySignal(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return cause != context.Canceled && errors.Is(cause, context.Canceled) //nolint:errorlint // it is about what wraps it
}

func status(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return 128 + int(st.Signal()), nil
	}
	return exit.ExitCode(), nil
}

func isTerminal() bool {
	_, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	return err == nil
}

// startIn starts the command from a thread that is in the namespace for that time: the child is there from its begin.
func startIn(netns string, cmd *exec.Cmd) error {
	if netns == "" {
		return cmd.Start()
	}
	target, err := os.Open(netns)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = home.Close() }()
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter %s: %w", netns, err)
			return
		}
		err = cmd.Start()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread() // else the thread ends with the goroutine
		}
		done <- err
	}()
	return <-done
}

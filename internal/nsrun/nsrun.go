// Package nsrun runs a program of this machine inside a network namespace, with a
// resolver and a mount namespace of its own, and optionally in another root file system.
package nsrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bind is a folder that is the same inside.
type Bind struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// Options say what to run and where.
type Options struct {
	NetNS    string     `json:"netns,omitempty"`   // path of a pinned namespace; "": the caller's network
	Resolver netip.Addr `json:"resolver,omitzero"` // the only name server inside; zero: as outside
	RootFS   string     `json:"rootfs,omitempty"`  // root of the file system inside; "": the machine's
	Binds    []Bind     `json:"binds,omitempty"`   // only with RootFS
	Env      []string   `json:"env"`
	Dir      string     `json:"dir,omitempty"` // working folder inside
	Args     []string   `json:"args"`
}

// marker is the name by which the program calls itself for the second half.
const marker = "cloister-nsrun"

// Run runs the program with this process's standard streams and returns its exit
// status. Signals that reach this process are passed on until ctx ends; then it is ended.
// The calling program must call EnterIfAsked at the begin of main.
func Run(ctx context.Context, o Options) (int, error) {
	if len(o.Args) == 0 {
		return 0, errors.New("nsrun: no command")
	}
	doc, err := json.Marshal(o)
	if err != nil {
		return 0, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{marker}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{r}
	// The mount namespace is the child's own, and nothing that it mounts is seen outside.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if err := startIn(o.NetNS, cmd); err != nil {
		_ = w.Close()
		return 0, err
	}
	_, err = w.Write(doc)
	if err = errors.Join(err, w.Close()); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 0, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH)
	defer signal.Stop(signals)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	cancelled := ctx.Done()
	for {
		select {
		case s := <-signals:
			// With a terminal, the whole foreground group got it already.
			if s != syscall.SIGINT && s != syscall.SIGQUIT || !isTerminal() {
				_ = cmd.Process.Signal(s)
			}
		case <-cancelled:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			cancelled = nil
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() {
					return 128 + int(st.Signal()), nil
				}
				return exit.ExitCode(), nil
			}
			return 0, err
		}
	}
}

func isTerminal() bool {
	_, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	return err == nil
}

// startIn starts the command from a thread that is in the namespace: the child is there from its begin.
func startIn(netns string, cmd *exec.Cmd) error {
	if netns == "" {
		return cmd.Start()
	}
	target, err := os.Open(netns)
	if err != nil {
		return fmt.Errorf("nsrun: %w", err)
	}
	defer func() { _ = target.Close() }()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("nsrun: enter %s: %w", netns, err)
			return
		}
		done <- cmd.Start()
	}()
	return <-done
}

// Package proc starts the processes that a benchmark compares, and reads what they use from /proc.
package proc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one that was started, with its output in a file.
type Process struct {
	PID   int
	Log   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// Options of Start.
type Options struct {
	Core int      // the only core that it may use, from 0; -1: all
	Env  []string // besides this process's
	Dir  string   // its working folder
	Log  string   // file of its output
}

// Start starts a program. It ends when this process does, or with Stop.
func Start(o Options, args ...string) (*Process, error) {
	if o.Core >= 0 {
		args = append([]string{"taskset", "-c", strconv.Itoa(o.Core)}, args...)
	}
	out, err := os.Create(o.Log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p := &Process{Log: o.Log, cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = o.Dir, out, out
	p.cmd.Env = append(os.Environ(), o.Env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := spawn(p.cmd); err != nil {
		return nil, err
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// spawn starts the command on a thread that never ends: the kernel ends a child with
// Pdeathsig together with the thread that started it.
var spawn = func() func(*exec.Cmd) error {
	type start struct {
		cmd  *exec.Cmd
		done chan error
	}
	starts := make(chan start)
	go func() {
		runtime.LockOSThread()
		for s := range starts {
			s.done <- s.cmd.Start()
		}
	}()
	return func(cmd *exec.Cmd) error {
		s := start{cmd, make(chan error)}
		starts <- s
		return <-s.done
	}
}()

// Stop asks the process to end, and forces it after five seconds.
func (p *Process) Stop() {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = p.cmd.Process.Signal(sig)
		select {
		case <-p.ended:
			return
		case <-time.After(5 * time.Second):
		}
	}
}

// Until waits until ok says true; it gives up when the process ends or ctx does.
func (p *Process) Until(ctx context.Context, ok func() bool) error {
	for !ok() {
		select {
		case <-p.ended:
			if ok() { // what it was to do was its last act
				return nil
			}
			return fmt.Errorf("%s ended: %s", p.cmd.Args[0], p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %s", p.cmd.Args[0], p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// tail is the last of what it said.
func (p *Process) tail() string {
	b, _ := os.ReadFile(p.Log)
	return string(b[max(0, len(b)-1000):])
}

// tick is the unit of times in /proc: 1/100 s on every architecture of Linux.
const tick = 10 * time.Millisecond

// CPU is the time that the processes have used so far, without that of their ended children.
func CPU(pids ...int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			return 0, err
		}
		// After the name, which may hold anything: state is field 3, user and system time are 14 and 15.
		_, rest, _ := strings.Cut(string(b[bytes.LastIndexByte(b, ')'):]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 13 {
			return 0, errors.New("/proc: no times in stat")
		}
		for _, f := range fields[11:13] {
			n, err := strconv.Atoi(f)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// PSS is the proportional share of memory of the processes, in bytes: of pages that
// several processes use, each counts its part.
func PSS(pids ...int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
		if err != nil {
			return 0, err
		}
		n, err := pss(f)
		_ = f.Close()
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func pss(r io.Reader) (int64, error) {
	for s := bufio.NewScanner(r); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "Pss:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("/proc: no Pss in smaps_rollup")
}

// PinSelf keeps this process off all cores but one. It must be called before threads are many.
func PinSelf(core int) error {
	var set unix.CPUSet
	set.Set(core)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil {
			return err
		}
	}
	return nil
}

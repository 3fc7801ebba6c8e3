package main

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// reaper waits for every child: those that it started itself, and orphans, whose
// statuses interest nobody. os/exec would compete with it for the statuses, and so is not used.
type reaper struct {
	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
	signals chan os.Signal
}

func newReaper() *reaper {
	r := &reaper{waiting: map[int]chan syscall.WaitStatus{}, signals: make(chan os.Signal, 1)}
	signal.Notify(r.signals, syscall.SIGCHLD)
	return r
}

func (r *reaper) run() {
	for range r.signals {
		r.reap()
	}
}

// reap collects every child that has ended. Signals coalesce: one may stand for many.
func (r *reaper) reap() {
	for {
		var st syscall.WaitStatus
		// The lock also keeps start from learning its child's number too late.
		r.mu.Lock()
		pid, err := syscall.Wait4(-1, &st, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			r.mu.Unlock()
			continue
		}
		if err != nil || pid <= 0 {
			r.mu.Unlock()
			return
		}
		ended := r.waiting[pid]
		delete(r.waiting, pid)
		r.mu.Unlock()
		if ended != nil {
			ended <- st
		}
	}
}

// start starts a program in a session of its own. The channel gets its status.
func (r *reaper) start(path string, args []string, out *os.File) (pid int, ended <-chan syscall.WaitStatus, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = null.Close() }()
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err = syscall.ForkExec(path, args, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []uintptr{null.Fd(), out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, nil, err
	}
	ch := make(chan syscall.WaitStatus, 1)
	r.waiting[pid] = ch
	return pid, ch, nil
}

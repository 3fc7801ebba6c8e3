package main

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
	grace      = 15 * time.Second
)

// keeper keeps the processes of a node running until it is told to stop.
type keeper struct {
	guest guest
	ready map[string]chan struct{}
	mu    sync.Mutex
	own   map[int]chan syscall.WaitStatus // processes that were started here, by number
}

func newKeeper(g guest) *keeper {
	k := &keeper{guest: g, ready: map[string]chan struct{}{}, own: map[int]chan syscall.WaitStatus{}}
	for _, p := range g.Processes {
		k.ready[p.Name] = make(chan struct{})
	}
	return k
}

func (k *keeper) run(ctx context.Context) error {
	reaping := make(chan os.Signal, 16)
	notifyChildren(reaping)
	go func() {
		for range reaping {
			k.reap()
		}
	}()
	var wg sync.WaitGroup
	for _, p := range k.guest.Processes {
		wg.Go(func() { k.keep(ctx, p) })
	}
	if len(k.guest.Images) > 0 {
		wg.Go(func() { k.importImages(ctx) })
	}
	wg.Wait()
	return nil
}

// reap waits for every child that ended; those that were started here are told.
func (k *keeper) reap() {
	for {
		var st syscall.WaitStatus
		k.mu.Lock()
		pid, err := syscall.Wait4(-1, &st, syscall.WNOHANG, nil)
		ended := k.own[pid]
		delete(k.own, pid)
		k.mu.Unlock()
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if ended != nil {
			ended <- st
		}
	}
}

// start starts a program with its output in the log, line by line under its name.
func (k *keeper) start(name string, args []string) (*os.Process, <-chan syscall.WaitStatus, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return nil, nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	// The number must be known before the child can be reaped.
	k.mu.Lock()
	p, err := os.StartProcess(path, args, &os.ProcAttr{Dir: "/", Env: os.Environ(), Files: []*os.File{nil, w, w}, Sys: &syscall.SysProcAttr{Setpgid: true}})
	if err == nil {
		k.own[p.Pid] = ended
	}
	k.mu.Unlock()
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return nil, nil, err
	}
	go prefix(name, r)
	return p, ended, nil
}

func prefix(name string, r io.ReadCloser) {
	defer func() { _ = r.Close() }()
	lines := bufio.NewReaderSize(r, 16<<10)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\n"); line != "" {
			os.Stdout.WriteString(name + ": " + line + "\n")
		}
		if err != nil {
			return
		}
	}
}

// keep runs one process again and again until ctx ends, then ends it.
func (k *keeper) keep(ctx context.Context, p process) {
	for _, other := range p.After {
		select {
		case <-k.ready[other]:
		case <-ctx.Done():
			return
		}
	}
	backoff, first := minBackoff, true
	for ctx.Err() == nil {
		began := time.Now()
		proc, ended, err := k.start(p.Name, p.Args)
		if err != nil {
			log.Printf("start %s: %v", p.Name, err)
		} else {
			if first {
				first = false
				go k.waitReady(ctx, p)
			}
			select {
			case st := <-ended:
				log.Printf("%s ended: %v", p.Name, describe(st))
			case <-ctx.Done():
				terminate(proc, ended)
				return
			}
		}
		if time.Since(began) > time.Minute {
			backoff = minBackoff
		}
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func terminate(p *os.Process, ended <-chan syscall.WaitStatus) {
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(grace):
		_ = p.Kill()
	}
}

// waitReady closes the process's channel when its socket takes connections.
func (k *keeper) waitReady(ctx context.Context, p process) {
	path, socket := strings.CutPrefix(p.Ready, "unix://")
	for socket && ctx.Err() == nil {
		conn, err := net.Dial("unix", path)
		if err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	close(k.ready[p.Name])
}

func describe(st syscall.WaitStatus) string {
	if st.Signaled() {
		return "by signal " + st.Signal().String()
	}
	return "with status " + itoa(st.ExitStatus())
}

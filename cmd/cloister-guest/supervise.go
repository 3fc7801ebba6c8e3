package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	minBackoff = 200 * time.Millisecond // before the first restart
	maxBackoff = 10 * time.Second       // between later ones
	healthy    = time.Minute            // a process that ran this long begins anew with minBackoff
	grace      = 5 * time.Second        // between TERM and KILL
)

// node is a node's processes while they run.
type node struct {
	config
	children *reaper
	out      *lines
	ready    map[string]chan struct{} // closed when the process was ready for the first time
	answered chan struct{}            // closed when config.Await answered, or was waited for long enough
}

func newNode(c config, children *reaper, out io.Writer) *node {
	n := &node{config: c, children: children, out: &lines{w: out}, ready: map[string]chan struct{}{}, answered: make(chan struct{})}
	for _, p := range c.Processes {
		n.ready[p.Name] = make(chan struct{})
	}
	return n
}

// run keeps the processes running until ctx ends, and ends them then, the last first.
func (n *node) run(ctx context.Context) {
	type running struct {
		stop  context.CancelFunc
		ended chan struct{}
	}
	go func() {
		if n.Await != nil {
			n.Await.until(ctx, awaitLimit)
		}
		close(n.answered)
	}()
	var all []running
	for _, p := range n.Processes {
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := running{stop: stop, ended: make(chan struct{})}
		all = append(all, r)
		go func() {
			defer close(r.ended)
			n.keep(own, p)
		}()
	}
	<-ctx.Done()
	log.Print("stopping")
	for _, r := range slices.Backward(all) {
		r.stop()
		<-r.ended
	}
}

// keep runs one process again and again.
func (n *node) keep(ctx context.Context, p process) {
	for _, name := range p.After {
		select {
		case <-n.ready[name]:
		case <-ctx.Done():
			return
		}
	}
	if p.Await {
		select {
		case <-n.answered:
		case <-ctx.Done():
			return
		}
	}
	wait := minBackoff
	for first := true; ctx.Err() == nil; first = false {
		start := time.Now()
		err := n.once(ctx, p, first)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > healthy {
			wait = minBackoff
		}
		log.Printf("%s ended (%v), starts again in %s", p.Name, err, wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, maxBackoff)
	}
}

// once runs a process to its end. The first time it also says when it is ready.
func (n *node) once(ctx context.Context, p process, first bool) error {
	for _, file := range p.Renews {
		if err := removeEnded(file, time.Now()); err != nil {
			return err
		}
	}
	pid, ended, err := n.start(p.Name, p.Args)
	if err != nil {
		return err
	}
	log.Printf("%s started, process %d", p.Name, pid)
	if first {
		watch, stop := context.WithCancel(ctx)
		defer stop()
		go n.watchReady(watch, p)
	}
	select {
	case st := <-ended:
		return describe(st)
	case <-ctx.Done():
		return end(pid, ended)
	}
}

// start starts a program, whose output goes to the node's, with its name before each line.
func (n *node) start(name string, args []string) (int, <-chan syscall.WaitStatus, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, nil, err
	}
	pid, ended, err := n.children.start(path, args, w)
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return 0, nil, err
	}
	go func() {
		defer func() { _ = r.Close() }()
		n.out.copy(name, r)
	}()
	return pid, ended, nil
}

func (n *node) watchReady(ctx context.Context, p process) {
	socket, ok := strings.CutPrefix(p.Ready, readySocket)
	for ok {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	if p.Name == runtimeProcess {
		n.images(ctx, socket)
	}
	if ctx.Err() == nil {
		close(n.ready[p.Name])
	}
}

// end ends a process: first asked, then forced.
func end(pid int, ended <-chan syscall.WaitStatus) error {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(pid, sig); err != nil {
			return err
		}
		select {
		case st := <-ended:
			return describe(st)
		case <-time.After(grace):
		}
	}
	return fmt.Errorf("process %d does not end", pid)
}

// endAll asks everything that is left, the pods, to end. What does not is ended
// by the kernel together with this process.
func endAll() {
	_ = syscall.Kill(-1, syscall.SIGTERM) // ESRCH: nothing is left
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if syscall.Kill(-1, 0) != nil {
			return
		}
	}
}

func describe(st syscall.WaitStatus) error {
	if st.Signaled() {
		return fmt.Errorf("signal %s", st.Signal())
	}
	return fmt.Errorf("exit status %d", st.ExitStatus())
}

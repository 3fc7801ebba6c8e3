package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
)

// Streams are those of a process that Exec starts; each may be nil.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Exec runs a program in a running container, as the container's own process
// runs, and returns its exit status. The program ends when ctx does.
func (e *Engine) Exec(ctx context.Context, name string, args []string, s Streams) (status int, err error) {
	ctx = e.ctx(ctx)
	c, err := e.client.LoadContainer(ctx, name)
	if errdefs.IsNotFound(err) {
		return 0, fmt.Errorf("there is no container %s", name)
	}
	if err != nil {
		return 0, err
	}
	sp, err := c.Spec(ctx)
	if err != nil {
		return 0, err
	}
	task, err := c.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return 0, fmt.Errorf("container %s does not run", name)
	}
	if err != nil {
		return 0, err
	}
	process := *sp.Process
	process.Args, process.Terminal = args, false
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return 0, err
	}
	fifos := filepath.Join(e.RunDir, "exec")
	if err := os.MkdirAll(fifos, 0o700); err != nil {
		return 0, err
	}
	p, err := task.Exec(ctx, "exec-"+hex.EncodeToString(id[:]), &process, cio.NewCreator(cio.WithFIFODir(fifos), streams(s)))
	if err != nil {
		return 0, fmt.Errorf("exec in %s: %w", name, err)
	}
	end := context.WithoutCancel(ctx)
	defer func() {
		if _, deleteErr := p.Delete(end, containerd.WithProcessKill); deleteErr != nil && !errdefs.IsNotFound(deleteErr) && err == nil {
			err = deleteErr
		}
	}()
	exited, err := p.Wait(end)
	if err != nil {
		return 0, err
	}
	if err := p.Start(ctx); err != nil {
		return 0, fmt.Errorf("exec in %s: %w", name, err)
	}
	select {
	case st := <-exited:
		p.IO().Wait() // the last lines
		code, _, err := st.Result()
		return int(code), err
	case <-ctx.Done():
		if err := p.Kill(end, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
			return 0, err
		}
		return 0, ctx.Err()
	}
}

// streams gives the shim pipes for the streams that are there, and none for the others.
func streams(s Streams) cio.Opt {
	return func(o *cio.Streams) {
		o.Stdin, o.Stdout, o.Stderr = s.In, s.Out, s.Err
		if o.Stdout == nil {
			o.Stdout = io.Discard
		}
		if o.Stderr == nil {
			o.Stderr = io.Discard
		}
	}
}

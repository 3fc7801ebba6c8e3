// Package engine runs workloads as containers of Cloister's own containerd: it
// imports images, creates containers, starts them again when they end, and
// removes them with everything that is theirs. What runs goes on when the daemon is away.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
)

// namespace is Cloister's in containerd.
const namespace = "cloister"

// Options say where the engine keeps things.
type Options struct {
	DataDir string // volumes and logs
	RunDir  string // sockets, rendered files
	Cgroup  string // of the host, below which every container has its own: the only one that the engine writes to
	Logger  string // program that keeps a container's output: cloister-logger; copied to DataDir
	Runc    string // runc's path; copied to DataDir
	// Images finds an image by the name that workloads use: an archive, and the reference in it.
	Images func(ctx context.Context, name string) (archive, ref string, err error)
	Log    *slog.Logger
}

// Engine is a connection to containerd.
type Engine struct {
	Options
	client  *containerd.Client
	mu      sync.Mutex
	names   map[string]*workload
	imports sync.Mutex // one at a time: several at once only compete for the disk
	volumes sync.Mutex // held while volumes and the containers that name them are removed
}

// workload is what the engine remembers of one container while the daemon runs.
type workload struct {
	mu       sync.Mutex // one change at a time
	restarts int
	pause    time.Duration // before the last restart
	next     time.Time     // not started again before
}

// New connects to the containerd of this run directory.
func New(o Options) (*Engine, error) {
	if o.Cgroup == "" {
		return nil, errors.New("engine: no cgroup is named")
	}
	c, err := containerd.New(Socket(o.RunDir), containerd.WithDefaultNamespace(namespace), containerd.WithTimeout(10*time.Second))
	if err != nil {
		return nil, fmt.Errorf("connect to containerd: %w", err)
	}
	for _, dir := range []string{filepath.Join(o.DataDir, "volumes"), filepath.Join(o.DataDir, "log", "containers"), filepath.Join(o.RunDir, "files")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	for _, program := range []*string{&o.Logger, &o.Runc} {
		if *program == "" {
			continue // an engine that only removes
		}
		own, err := install(o.DataDir, *program)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		*program = own[0]
	}
	return &Engine{Options: o, client: c, names: map[string]*workload{}}, nil
}

// Close ends the connection. Containers run on.
func (e *Engine) Close() error { return e.client.Close() }

// Ping returns nil when containerd answers.
func (e *Engine) Ping(ctx context.Context) error {
	ok, err := e.client.IsServing(ctx)
	if err == nil && !ok {
		err = errors.New("containerd does not serve")
	}
	return err
}

func (e *Engine) ctx(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, namespace)
}

func (e *Engine) state(name string) *workload {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.names[name]
	if w == nil {
		w = &workload{}
		e.names[name] = w
	}
	return w
}

// List names every container, running or not.
func (e *Engine) List(ctx context.Context) ([]string, error) {
	containers, err := e.client.Containers(e.ctx(ctx))
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var out []string
	for _, c := range containers {
		out = append(out, c.ID())
	}
	return out, nil
}

// Exits sends the name of every container whose process ended, until ctx ends.
func (e *Engine) Exits(ctx context.Context) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for ctx.Err() == nil {
			e.exits(ctx, out)
			// containerd went away: it comes back, and until then nothing can be said.
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return out
}

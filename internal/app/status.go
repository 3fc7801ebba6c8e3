package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/local"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// parts remembers how Cloister's own parts are, in the order in which they start.
type parts struct {
	mu    sync.Mutex
	order []string
	state map[string]error
}

// set says how a part is.
func (p *parts) set(name string, err error) { _ = p.swap(name, err) }

// swap is set that returns how the part was.
func (p *parts) swap(name string, err error) (was error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil {
		p.state = map[string]error{}
	}
	if _, known := p.state[name]; !known {
		p.order = append(p.order, name)
	}
	was = p.state[name]
	p.state[name] = err
	return was
}

func (p *parts) list() []local.Part {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []local.Part
	for _, name := range p.order {
		part := local.Part{Name: name, OK: p.state[name] == nil}
		if !part.OK {
			part.Message = p.state[name].Error()
		}
		out = append(out, part)
	}
	return out
}

// local answers the commands of this machine.
func (d *daemon) local(ctx context.Context) error {
	srv := &localServer{access: func() access { return accessOf(d.cfg) }, log: d.log, status: d.status, sessions: func() (*sessions, error) {
		if s := d.opened(); s != nil {
			return &sessions{s}, nil
		}
		return nil, errStarting
	}, ids: func() *identity.Service {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.ids
	}, members: members{log: d.log, now: map[uint32]int{}}}
	return srv.serve(ctx)
}

func (d *daemon) opened() store.Store {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.store
}

func (d *daemon) status(ctx context.Context) *local.Status {
	st := &local.Status{Version: d.version, URL: d.cfg.BaseURL(), Since: d.since, Parts: d.parts.list()}
	s := d.opened()
	if s == nil {
		return st
	}
	obstacles, err := d.fabric.Obstacles(ctx)
	if err != nil {
		st.Notes = append(st.Notes, err.Error())
	}
	for _, o := range obstacles {
		st.Notes = append(st.Notes, o.String())
	}
	if err := fill(ctx, s, st); err != nil {
		st.Parts = append(st.Parts, local.Part{Name: "store", Message: err.Error()})
	}
	return st
}

// fill reads clusters, networks and containers.
func fill(ctx context.Context, s store.Reader, st *local.Status) error {
	snap, _, err := s.List(ctx, "/res/")
	if err != nil {
		return err
	}
	for _, d := range snap {
		if strings.Contains(d.Key, "/microsoft.network/virtualnetworks/") && !strings.Contains(d.Key, "/subnets/") {
			st.Networks++
		}
	}
	clusters, err := all[spec.Cluster](ctx, s, spec.ClusterPrefix)
	if err != nil {
		return err
	}
	states, err := all[spec.ClusterStatus](ctx, s, spec.StatusKey(spec.ClusterPrefix))
	if err != nil {
		return err
	}
	ready, err := all[spec.NodeStatus](ctx, s, spec.StatusKey(spec.NodePrefix))
	if err != nil {
		return err
	}
	nodes, err := all[spec.Node](ctx, s, spec.NodePrefix)
	if err != nil {
		return err
	}
	for key, c := range clusters {
		good, total := 0, 0
		for k, n := range nodes {
			if n.Cluster == c.Name {
				total++
				if ready[spec.StatusKey(k)].Ready {
					good++
				}
			}
		}
		state := "API not ready"
		if states[spec.StatusKey(key)].APIReady {
			state = "API ready"
		}
		if c.Stopped {
			state = "stopped"
		}
		st.Clusters = append(st.Clusters, local.Cluster{ID: c.Resource, Version: c.Version, State: state, Nodes: fmt.Sprintf("%d/%d", good, total), Message: states[spec.StatusKey(key)].Message})
	}
	workloads, _, err := s.List(ctx, spec.WorkloadPrefix)
	if err != nil {
		return err
	}
	phases, err := all[spec.WorkloadStatus](ctx, s, spec.StatusKey(spec.WorkloadPrefix))
	if err != nil {
		return err
	}
	for _, d := range workloads {
		var w spec.Workload
		if err := json.Unmarshal(d.Value, &w); err != nil {
			return err
		}
		x := phases[spec.StatusKey(d.Key)]
		phase := x.Phase
		if phase == "" {
			phase = spec.PhasePending
		}
		st.Workloads = append(st.Workloads, local.Workload{Name: w.Name, Kind: string(w.Kind), Phase: string(phase), Message: x.Message, Since: x.StartedAt, Restarts: x.Restarts})
	}
	slices.SortFunc(st.Clusters, func(a, b local.Cluster) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

// lockExclusive takes a lock that ends with the process.
func lockExclusive(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, errors.New("another cloister serves this run directory already: `cloister status`, `cloister down`")
	}
	return f, nil
}

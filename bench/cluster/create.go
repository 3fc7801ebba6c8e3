// Package cluster measures private clusters: how long until one is there, what it uses at rest, and how
// many fit; against upstream's programs started by a script.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cloister.dev/cloister/bench/figure"
)

// Options of Run.
type Options struct {
	Self, Cloister, Source string // programs, and the source tree
	Etcd, Kube             string // for the script
	Rounds                 int    // creates
	Idle                   time.Duration
	Most                   int    // clusters that are tried to fit
	Hello                  string // program of the webhook
}

// Run measures all of it with one instance.
func Run(ctx context.Context, r *figure.Report, o Options) (err error) {
	i, err := up(ctx, o.Cloister, o.Source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.down()) }()
	m := &measurement{Options: o, instance: i, report: r}
	for _, step := range []func(context.Context) error{m.create, m.idle, m.webhook, m.density} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

type measurement struct {
	Options
	instance *instance
	report   *figure.Report
}

const nodes = 3

// create makes clusters with az, one after the other, and starts the script between them.
func (m *measurement) create(ctx context.Context) error {
	if m.Rounds == 0 {
		return nil
	}
	var api, ready, pod, back, peer []float64
	for n := range m.Rounds {
		s, err := startScript(ctx, programs{m.Etcd, m.Kube})
		if err != nil {
			return fmt.Errorf("script: %w", err)
		}
		peer = append(peer, s.apiReady.Seconds())
		s.stop()
		one, err := m.createOnce(ctx, fmt.Sprintf("create%d", n))
		if err != nil {
			return err
		}
		api, ready, pod = append(api, one.api), append(ready, one.ready), append(pod, one.pod)
		back = append(back, one.back-one.ready)
	}
	for _, p := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p95", 0.95}} {
		at := func(v []float64) float64 { return figure.Percentile(v, p.share) }
		note := fmt.Sprintf("%s of %d, %d nodes", p.name, m.Rounds, nodes)
		m.report.Add(figure.Row{Name: "az aks create: API answers on the endpoint, " + p.name, Value: at(api), Unit: "s", Peer: "script", Other: at(peer), Reach: figure.Reach{Most: 1}, Note: note})
		m.report.Add(figure.Row{Name: "az aks create: all nodes Ready, " + p.name, Value: at(ready), Unit: "s", Reach: figure.Reach{MostValue: 20}, Note: note})
		m.report.Add(figure.Row{Name: "az aks create: a pod answers, " + p.name, Value: at(pod), Unit: "s", Note: note})
		m.report.Add(figure.Row{Name: "az aks create: az returns after that all nodes are Ready, " + p.name, Value: at(back), Unit: "s", Reach: figure.Reach{MostValue: 3}, Note: note})
	}
	return nil
}

// once are the moments of one create, in seconds after az was started; api is seen from the moment that ARM has the cluster.
type once struct{ api, ready, pod, back float64 }

func (m *measurement) createOnce(ctx context.Context, group string) (out once, err error) {
	i := m.instance
	subnet, err := i.network(ctx, group)
	if err != nil {
		return out, err
	}
	id := i.group(group) + "/providers/Microsoft.ContainerService/managedClusters/c"
	p, err := m.probe(ctx, subnet, task{Base: i.azure.Base, Token: i.azure.Token, Cluster: id, Nodes: nodes, Pod: true})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	begin := time.Now()
	accepted := make(chan time.Time, 1)
	go func() {
		for ctx.Err() == nil {
			if _, err := i.azure.Do(ctx, "GET", id+version, nil); err == nil {
				accepted <- time.Now()
				return
			}
			_ = wait(ctx)
		}
	}()
	_, err = i.az(ctx, "aks", "create", "-g", group, "-n", "c", "--enable-private-cluster", "--network-plugin", "azure", "--vnet-subnet-id", subnet,
		"--dns-service-ip", "10.2.0.10", "--service-cidr", "10.2.0.0/24", "--node-count", fmt.Sprint(nodes), "--generate-ssh-keys", "--yes", "-o", "none")
	if err != nil {
		return out, err
	}
	back := time.Now()
	s, err := p.wait(ctx)
	if err != nil {
		return out, err
	}
	sent := <-accepted
	out = once{s.API.Sub(sent).Seconds(), s.Ready.Sub(begin).Seconds(), s.Pod.Sub(begin).Seconds(), back.Sub(begin).Seconds()}
	fmt.Printf("  create: ARM has it %.1f s, API %.1f s, nodes %.1f s, pod %.1f s, az returns %.1f s\n",
		sent.Sub(begin).Seconds(), s.API.Sub(begin).Seconds(), out.ready, out.pod, out.back)
	if err := p.stop(); err != nil {
		return out, err
	}
	return out, i.remove(ctx, group)
}

// running is a probe under way.
type running struct {
	file string
	end  func() error
}

// probe starts a probe in the subnet and returns when it watches.
func (m *measurement) probe(ctx context.Context, subnet string, t task) (*running, error) {
	for n := 4; n < 12; n++ {
		if len(t.Addresses) < 8 {
			t.Addresses = append(t.Addresses, fmt.Sprintf("10.240.0.%d", n))
		}
	}
	dir, err := os.MkdirTemp(m.instance.dir, "probe")
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	p := &running{file: filepath.Join(dir, "task")}
	if err := os.WriteFile(p.file, b, 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := m.instance.command(ctx, "run", "--subnet", subnet, "--", m.Self, "role", RoleProbe, p.file)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	p.end = func() error {
		cancel()
		<-ended
		return os.RemoveAll(dir)
	}
	start, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if _, err := p.until(start, func(s seen) bool { return !s.Started.IsZero() }); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func (p *running) stop() error {
	if p.end == nil {
		return nil
	}
	end := p.end
	p.end = nil
	return end()
}

// wait returns what the probe saw when it has seen all.
func (p *running) wait(ctx context.Context) (seen, error) {
	return p.until(ctx, func(s seen) bool { return !s.Ready.IsZero() && !s.Pod.IsZero() })
}

func (p *running) until(ctx context.Context, ok func(seen) bool) (seen, error) {
	for {
		var s seen
		if b, err := os.ReadFile(p.file + ".seen"); err == nil && json.Unmarshal(b, &s) == nil {
			if s.Error != "" {
				return s, errors.New(s.Error)
			}
			if ok(s) {
				return s, nil
			}
		}
		if err := wait(ctx); err != nil {
			return s, fmt.Errorf("the probe: %w", err)
		}
	}
}

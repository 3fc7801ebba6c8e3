// Package endpoint measures what passes through a private endpoint's translation, against plain
// routing through namespaces of the same shape and HAProxy in TCP mode in the network's place.
package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cloister.dev/cloister/bench/figure"
	"cloister.dev/cloister/bench/proc"
)

// Roles of the benchmark's program.
const (
	RoleServer = "endpoint-server"
	RoleClient = "endpoint-client"
)

const rounds = 15

// path is one way to a server.
type path struct {
	name   string
	client string // namespace
	to     string // what the client connects to
}

// Run measures. self is the benchmark's program, peers a root file system with haproxy.
func Run(ctx context.Context, r *figure.Report, self, peers string) (err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := newWorld(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for _, ns := range []string{w.service, w.plainService} {
		p, err := proc.Start(proc.Options{Core: -1, Log: filepath.Join(dir, "server.log")}, "nsenter", "--net="+ns, self, "role", RoleServer, "0.0.0.0:443")
		if err != nil {
			return err
		}
		defer p.Stop()
	}
	proxyConfig := filepath.Join(peers, "bench-haproxy.cfg")
	text := fmt.Sprintf("global\n nbthread 2\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nlisten all\n bind %s:8443\n server one %s:443\n", plainGateway, plainServiceAddress)
	if err := os.WriteFile(proxyConfig, []byte(text), 0o644); err != nil {
		return err
	}
	defer func() { _ = os.Remove(proxyConfig) }()
	proxy, err := proc.Start(proc.Options{Core: -1, Log: filepath.Join(dir, "haproxy.log")}, "nsenter", "--net="+w.plainNetwork, "chroot", peers, "haproxy", "-db", "-f", "/bench-haproxy.cfg")
	if err != nil {
		return err
	}
	defer proxy.Stop()
	paths := []path{
		{"endpoint", w.client, endpointAddress + ":443"},
		{"routing", w.plainClient, plainServiceAddress + ":443"},
		{"HAProxy", w.plainClient, plainGateway + ":8443"},
	}
	all := map[string][]values{}
	for range rounds { // one after the other, again and again: what else the machine does hits all
		for _, p := range paths {
			v, err := w.measure(ctx, self, p)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			all[p.name] = append(all[p.name], v)
		}
	}
	median := func(name string, of func(values) float64) float64 {
		var list []float64
		for _, v := range all[name] {
			list = append(list, of(v))
		}
		return figure.Percentile(list, 0.5)
	}
	for _, row := range []struct {
		name, unit, peer string
		of               func(values) float64
		reach            figure.Reach
	}{
		{"endpoint throughput", "Gbit/s", "routing", func(v values) float64 { return v.Throughput }, figure.Reach{Least: 0.95}},
		{"endpoint throughput", "Gbit/s", "HAProxy", func(v values) float64 { return v.Throughput }, figure.Reach{Least: 1.5}},
		{"endpoint round trip, p50", "µs", "routing", func(v values) float64 { return v.RoundTrip }, figure.Reach{Most: 1.1}},
		{"endpoint round trip, p50", "µs", "HAProxy", func(v values) float64 { return v.RoundTrip }, figure.Reach{}},
		{"endpoint connections", "/s", "routing", func(v values) float64 { return v.Connects }, figure.Reach{Least: 0.9}},
		{"endpoint connections", "/s", "HAProxy", func(v values) float64 { return v.Connects }, figure.Reach{}},
	} {
		r.Add(figure.Row{Name: row.name, Value: median("endpoint", row.of), Unit: row.unit, Peer: row.peer, Other: median(row.peer, row.of), Reach: row.reach,
			Note: fmt.Sprintf("median of %d rounds", rounds)})
	}
	return nil
}

// measure runs a client in its namespace.
func (w *world) measure(ctx context.Context, self string, p path) (values, error) {
	var v values
	out := filepath.Join(w.dir, "values.json")
	if err := os.Remove(out); err != nil && !errors.Is(err, os.ErrNotExist) {
		return v, err
	}
	c, err := proc.Start(proc.Options{Core: -1, Log: filepath.Join(w.dir, "client.log")}, "nsenter", "--net="+p.client, self, "role", RoleClient, p.to+","+out)
	if err != nil {
		return v, err
	}
	defer c.Stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = c.Until(ctx, func() bool {
		b, err := os.ReadFile(out)
		return err == nil && json.Unmarshal(b, &v) == nil
	})
	return v, err
}

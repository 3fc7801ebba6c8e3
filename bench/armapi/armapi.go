// Package armapi measures the ARM endpoint: authenticated and authorised reads over TLS, against
// a bare net/http server that answers with the same bytes.
package armapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"cloister.dev/cloister/bench/azure"
	"cloister.dev/cloister/bench/figure"
	"cloister.dev/cloister/bench/proc"
)

const (
	connections = 32
	listed      = 1000
	rounds      = 3
	roundTime   = 2 * time.Second
	apiVersion  = "2024-05-01"
)

// Names of the processes that the benchmark's program starts of itself.
const (
	RoleServer = "arm-server"
	RoleBare   = "arm-bare"
)

// Run measures. self is the benchmark's program, etcd the one of etcd. The server has core 0 for itself.
func Run(ctx context.Context, r *figure.Report, self, etcd string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := proc.Start(proc.Options{Core: 1, Dir: dir, Log: filepath.Join(dir, "etcd.log")}, etcd, "--data-dir="+filepath.Join(dir, "etcd"),
		"--listen-client-urls=unix://"+dir+"/etcd.sock", "--advertise-client-urls=unix://"+dir+"/etcd.sock", "--unsafe-no-fsync",
		"--listen-peer-urls=unix://"+dir+"/peer.sock", "--initial-advertise-peer-urls=unix://"+dir+"/peer.sock", "--initial-cluster=default=unix://"+dir+"/peer.sock",
		"--max-txn-ops=4096", "--log-level=error")
	if err != nil {
		return err
	}
	defer st.Stop()
	server, say, err := start(ctx, self, RoleServer, dir)
	if err != nil {
		return err
	}
	defer server.Stop()
	c := azure.New(say.URL)
	if err := c.SignIn(ctx, say.Tenant, say.Secret.ClientID, say.Secret.ClientSecret); err != nil {
		return err
	}
	one, list, err := fill(ctx, c, "/subscriptions/"+say.Secret.SubscriptionID+"/resourceGroups/bench")
	if err != nil {
		return err
	}
	bodies := map[string][]byte{}
	for _, path := range []string{one, list} {
		if bodies[path], err = c.Do(ctx, http.MethodGet, path, nil); err != nil {
			return err
		}
	}
	if n := bytes.Count(bodies[list], []byte(`"provisioningState"`)); n < listed {
		return fmt.Errorf("the list has %d resources", n)
	}
	b, err := json.Marshal(bodies)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, bytesFile), b, 0o600); err != nil {
		return err
	}
	bare, bareSay, err := start(ctx, self, RoleBare, dir)
	if err != nil {
		return err
	}
	defer bare.Stop()
	for _, x := range []struct{ name, path string }{
		{"ARM GET of one resource on one core", one}, {"ARM list of 1,000 on one core", list},
	} {
		ours := loadOf(c, say.URL, x.path, len(bodies[x.path]))
		theirs := loadOf(c, bareSay.URL, x.path, len(bodies[x.path]))
		var a, b []float64
		for range rounds { // one after the other, again and again: what else the machine does hits both
			v, err := ours.run(connections, roundTime, server.PID)
			if err != nil {
				return fmt.Errorf("%s: %w", x.name, err)
			}
			w, err := theirs.run(connections, roundTime, bare.PID)
			if err != nil {
				return fmt.Errorf("%s, bare: %w", x.name, err)
			}
			a, b = append(a, v), append(b, w)
		}
		r.Add(figure.Row{
			Name: x.name, Value: figure.Percentile(a, 0.5), Unit: "/s", Peer: "bare net/http", Other: figure.Percentile(b, 0.5),
			Reach: figure.Reach{Least: 0.5}, Note: fmt.Sprintf("TLS, %d connections, %d bytes, per second of the server's CPU", connections, len(bodies[x.path])),
		})
	}
	return nil
}

// start starts a server and waits until it says where it is.
func start(ctx context.Context, self, role, dir string) (*proc.Process, ready, error) {
	var say ready
	file := filepath.Join(dir, readyFile)
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, say, err
	}
	p, err := proc.Start(proc.Options{Core: 0, Env: []string{"GOMAXPROCS=1"}, Log: filepath.Join(dir, role+".log")}, self, "role", role, dir)
	if err != nil {
		return nil, say, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = p.Until(ctx, func() bool {
		b, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(b, &say) == nil
	})
	if err != nil {
		p.Stop()
	}
	return p, say, err
}

// fill makes a group with a network and the interfaces in it; it returns the paths of one and of their list.
func fill(ctx context.Context, c *azure.Client, group string) (one, list string, err error) {
	const version = "?api-version=" + apiVersion
	network := group + "/providers/Microsoft.Network/virtualNetworks/vnet"
	if _, err := c.Do(ctx, http.MethodPut, group+version, map[string]any{"location": "eastus"}); err != nil {
		return "", "", err
	}
	if _, err := c.Do(ctx, http.MethodPut, network+version, map[string]any{"location": "eastus", "properties": map[string]any{
		"addressSpace": map[string]any{"addressPrefixes": []string{"10.0.0.0/8"}},
		"subnets":      []any{map[string]any{"name": "a", "properties": map[string]any{"addressPrefix": "10.240.0.0/16"}}},
	}}); err != nil {
		return "", "", err
	}
	all := group + "/providers/Microsoft.Network/networkInterfaces"
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(1)
	for i := range listed {
		g.Go(func() error {
			_, err := c.Do(gctx, http.MethodPut, fmt.Sprintf("%s/nic-%04d%s", all, i, version), map[string]any{
				"location": "eastus", "tags": map[string]any{"env": "bench", "owner": "nobody"},
				"properties": map[string]any{"ipConfigurations": []any{map[string]any{"name": "first", "properties": map[string]any{"subnet": map[string]any{"id": network + "/subnets/a"}}}}},
			})
			return err
		})
	}
	return all + "/nic-0500" + version, all + version, g.Wait()
}

func loadOf(c *azure.Client, base, path string, size int) load {
	host := strings.TrimPrefix(base, "https://")
	return load{address: host, size: size, request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nUser-Agent: bench\r\nAuthorization: Bearer %s\r\n\r\n", path, host, c.Token)}
}

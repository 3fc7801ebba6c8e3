package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/engine"
	"cloister.dev/cloister/internal/images"
	"cloister.dev/cloister/internal/kubernetes"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// Workloads that come from configuration: they are there before the store is, and not in it.
const (
	storeWorkload    = "cloister-store"
	resolverWorkload = "cloister-resolver"
	storeVolume      = "cloister-store-run" // its socket
)

// startEngine starts containerd, unless it runs, and connects to it. programs is the folder of containerd's programs.
func startEngine(ctx context.Context, c config.Config, log *slog.Logger) (e *engine.Engine, programs string, err error) {
	built, err := images.Build(ctx, images.Options{SourceDir: c.SourceDir, CacheDir: c.CacheDir}, artefacts()...)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	programs = built["containerd-programs"].Path
	if err := engine.StartContainerd(ctx, c.DataDir, c.RunDir, programs); err != nil {
		return nil, "", err
	}
	e, err = engine.New(engine.Options{
		DataDir: c.DataDir, RunDir: c.RunDir, Cgroup: c.Cgroup, Log: log,
		Logger: filepath.Join(built["logger-programs"].Path, "cloister-logger"), Runc: filepath.Join(built["runc-programs"].Path, "runc"),
		Images: func(_ context.Context, name string) (string, string, error) {
			a, ok := built[name]
			if !ok || a.Kind != images.Image {
				return "", "", fmt.Errorf("there is no image called %q", name)
			}
			return a.Path, a.Ref, nil
		},
	})
	if err != nil {
		return nil, "", err
	}
	if err := e.EndLeases(ctx); err != nil {
		return nil, "", errors.Join(err, e.Close())
	}
	return e, programs, nil
}

// own are the workloads from configuration.
func own(c config.Config) map[string]spec.Workload {
	const socket = "unix:///run/etcd/"
	// A file in etcd's working folder: of a path it would make an abstract socket, open to the whole machine.
	const peer = "unix://peer.sock"
	dnsDir := filepath.Dir(zonesFile(c))
	return map[string]spec.Workload{
		storeWorkload: {
			Name: storeWorkload, Kind: spec.KindSystem, Image: "etcd", Owner: "configuration",
			Args: []string{"etcd", "--name=cloister", "--data-dir=/var/lib/etcd", "--listen-client-urls=" + socket + "client.sock", "--advertise-client-urls=" + socket + "client.sock",
				"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=cloister=" + peer,
				"--max-txn-ops=4096", "--auto-compaction-mode=periodic", "--auto-compaction-retention=1h", "--heartbeat-interval=100", "--election-timeout=500", "--log-level=warn"},
			Mounts: []spec.Mount{{Volume: "cloister-store", Target: "/var/lib/etcd"}, {Volume: storeVolume, Target: "/run/etcd"}},
		},
		resolverWorkload: {
			Name: resolverWorkload, Kind: spec.KindResolver, Image: "cloister", Owner: "configuration",
			Args: []string{"cloister", "resolver", "--file", zonesFile(c)},
			Mounts: []spec.Mount{
				{Host: filepath.Join(c.RunDir, "netns"), Target: filepath.Join(c.RunDir, "netns"), ReadOnly: true, Propagation: "rslave"},
				{Host: dnsDir, Target: dnsDir, ReadOnly: true},
				{Host: "/etc/resolv.conf", Target: "/etc/resolv.conf", ReadOnly: true},
			},
		},
	}
}

// openStore connects to the store, waits until it answers, and keeps what is in it in memory.
func openStore(ctx context.Context, c config.Config) (*store.Cached, error) {
	endpoints := c.StoreEndpoints
	if len(endpoints) == 0 {
		endpoints = []string{"unix://" + storeSocket(c)}
		for i := 0; ; i++ {
			if _, err := os.Stat(storeSocket(c)); err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return nil, fmt.Errorf("the store does not start: %w", ctx.Err())
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	s, err := store.Open(ctx, endpoints)
	if err != nil {
		return nil, err
	}
	cached, err := store.NewCached(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return cached, nil
}

// preload brings the images of clusters into containerd, so that the first cluster need not wait for them.
func preload(ctx context.Context, e *engine.Engine, log *slog.Logger) {
	for _, v := range kubernetes.Versions() {
		for _, name := range []string{"kube-v" + v, "node-v" + v} {
			if err := e.Load(ctx, name); err != nil && ctx.Err() == nil {
				log.WarnContext(ctx, "load an image ahead", "image", name, "error", err)
			}
		}
	}
}

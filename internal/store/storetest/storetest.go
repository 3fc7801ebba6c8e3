// Package storetest starts a real etcd for a test.
package storetest

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"cloister.dev/cloister/internal/store"
)

// New starts an etcd with its data and its sockets in a folder of the test's
// own, and stops it with the test.
func New(t testing.TB) *store.Etcd {
	t.Helper()
	// A socket's path may have 107 characters only, and t.TempDir's are long.
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	cfg := embed.NewConfig()
	client, peer := url.URL{Scheme: "unix", Path: filepath.Join(dir, "client.sock")}, url.URL{Scheme: "unix", Path: filepath.Join(dir, "peer.sock")}
	cfg.Dir = filepath.Join(dir, "data")
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.LogLevel, cfg.LogOutputs = "panic", []string{"stderr"}
	cfg.UnsafeNoFsync = true
	cfg.TickMs, cfg.ElectionMs = 10, 100
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		_ = os.RemoveAll(dir)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		_ = os.RemoveAll(dir)
	})
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(20 * time.Second):
		t.Fatal("etcd is not ready after 20 s")
	}
	s, err := store.Open(t.Context(), []string{client.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

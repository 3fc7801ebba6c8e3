package armapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"cloister.dev/cloister/internal/app"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/httpbound"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/tlsca"
)

// Files that the processes of the measurement leave for each other in its folder.
const (
	readyFile = "ready.json" // of a server: where it listens, and who may sign in
	bytesFile = "bytes.json" // the bare server's answers by path
)

// ready is what a server says of itself.
type ready struct {
	URL    string
	Secret identity.Admin
	Tenant string
}

// Serve is the process that is measured: Cloister's ARM endpoint, with its store behind a socket in the folder.
func Serve(ctx context.Context, dir string) error {
	e, err := store.Open(ctx, []string{"unix://" + filepath.Join(dir, "etcd.sock")})
	if err != nil {
		return err
	}
	s, err := store.NewCached(ctx, e)
	if err != nil {
		return err
	}
	l, cert, err := listen(dir)
	if err != nil {
		return err
	}
	c := config.Default()
	c.DataDir, c.RunDir, c.Listen, c.LogLevel = dir, dir, l.Addr().String(), "info"
	admin, err := identity.EnsureCredentials(ctx, s, c, filepath.Join(dir, "admin.json"))
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	h, _, err := app.Endpoint(ctx, c, s, log)
	if err != nil {
		return err
	}
	return serve(l, cert, h, dir, ready{URL: "https://" + l.Addr().String(), Secret: admin, Tenant: admin.TenantID})
}

// ServeBare is the peer: net/http and TLS with the same settings, and answers of the same bytes.
func ServeBare(_ context.Context, dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, bytesFile))
	if err != nil {
		return err
	}
	var bodies map[string][]byte
	if err := json.Unmarshal(b, &bodies); err != nil {
		return err
	}
	l, cert, err := listen(dir)
	if err != nil {
		return err
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.RequestURI()]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // the client is gone: nobody to tell
	})
	return serve(l, cert, h, dir, ready{URL: "https://" + l.Addr().String()})
}

func listen(dir string) (net.Listener, *tls.Certificate, error) {
	loopback := netip.MustParseAddr("127.0.0.1")
	ca, err := tlsca.Open(filepath.Join(dir, "tls"), []netip.Prefix{netip.PrefixFrom(loopback, 8)})
	if err != nil {
		return nil, nil, err
	}
	cert, err := ca.Issue(time.Now(), []string{"localhost"}, []netip.Addr{loopback})
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	return l, cert, err
}

func serve(l net.Listener, cert *tls.Certificate, h http.Handler, dir string, say ready) error {
	b, err := json.Marshal(say)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, readyFile), b, 0o600); err != nil {
		return err
	}
	srv := httpbound.NewServer(h, slog.New(slog.DiscardHandler))
	err = srv.Serve(l, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{*cert}})
	return fmt.Errorf("serve: %w", err)
}

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/atomicfile"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/fabric"
	"cloister.dev/cloister/internal/httpbound"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/kubernetes"
	"cloister.dev/cloister/internal/local"
	"cloister.dev/cloister/internal/netplan"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/tlsca"
)

// Serve is the daemon: it runs until ctx ends. Containers go on without it.
func Serve(ctx context.Context, c config.Config, version string) error {
	log, err := newLogger(os.Stdout, c.LogLevel)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("serve: namespaces, packet filters and containers need root: sudo cloister up")
	}
	if err := makeDirs(folders(c)); err != nil {
		return err
	}
	unlock, err := onlyOne(c)
	if err != nil {
		return err
	}
	defer unlock()
	d := &daemon{cfg: c, log: log, version: version, since: time.Now(), parts: &parts{}}
	for _, name := range []string{"containers", storePart, "store", "network", "names", "ARM endpoint", "reconcilers"} {
		d.parts.set(name, errors.New("starting"))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.local(ctx) })
	g.Go(func() error { return d.run(ctx) })
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	log.Info("the daemon ends", "error", err)
	return err
}

// daemon is what one run of Serve knows.
type daemon struct {
	cfg     config.Config
	log     *slog.Logger
	version string
	since   time.Time
	parts   *parts

	mu    sync.Mutex
	store store.Store // nil until it answers
	// Both are nil until the store answers.
	fabric *fabric.Fabric
	ids    *identity.Service
}

func (d *daemon) run(ctx context.Context) error {
	e, programs, err := startEngine(ctx, d.cfg, d.log)
	if err != nil {
		return fmt.Errorf("containers: %w", err)
	}
	defer func() { _ = e.Close() }()
	d.parts.set("containers", nil)
	go d.keepContainerd(ctx, programs, e)
	mine := own(d.cfg)
	if len(d.cfg.StoreEndpoints) == 0 {
		go d.keep(ctx, e, mine[storeWorkload], d.reporter(ctx, storePart))
	} else {
		d.parts.set(storePart, nil)
	}
	net, err := fabric.New(fabric.Options{RunDir: d.cfg.RunDir})
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := openStore(wait, d.cfg)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	go d.checkStore(ctx, s)
	d.mu.Lock()
	d.store, d.fabric = s, net
	d.mu.Unlock()

	network := &networks{cfg: d.cfg, store: s, fabric: net, log: d.log}
	if err := network.reconcile(ctx); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	d.parts.set("network", nil)
	network.health = d.reporter(ctx, "network")
	name := &names{cfg: d.cfg, store: s, path: net.Path}
	if err := name.reconcile(ctx); err != nil {
		return fmt.Errorf("names: %w", err)
	}
	go d.keep(ctx, e, mine[resolverWorkload], d.reporter(ctx, "names"))

	if _, err := identity.EnsureCredentials(ctx, s, d.cfg, CredentialsFile(d.cfg)); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	ids, server, err := newEndpoint(ctx, d.cfg, s, d.log)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.ids = ids
	d.mu.Unlock()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return ids.Run(ctx) })
	g.Go(func() error { return d.listen(ctx, net, server, ids) })

	g.Go(func() error { return watchDisk(ctx, d.cfg, d.parts.set, d.log) })
	go preload(ctx, e, d.log)
	w := &workloads{store: s, engine: e, fabric: net, log: d.log}
	if err := w.sweep(ctx, map[string]bool{storeWorkload: true, resolverWorkload: true}); err != nil {
		return fmt.Errorf("containers: %w", err)
	}
	host, err := kubernetes.DetectHost()
	if err != nil {
		return err
	}
	clusters := kubernetes.New(ctx, kubernetes.Options{Store: s, Log: d.log, Host: host, Dial: dialInside(net), CertificateLifetime: time.Duration(d.cfg.CertificateLifetime)})
	list := reconcilers(server, clusters, network, name, w, &sessions{s})
	g.Go(func() error { return reconcile.Run(ctx, s, d.log, list) })
	g.Go(func() error { w.observe(ctx, e); return nil })
	d.parts.set("reconcilers", nil)
	err = g.Wait()
	clusters.Wait()
	return err
}

// reconcilers are all that the daemon runs.
func reconcilers(server *arm.Server, clusters *kubernetes.Manager, n *networks, names *names, w *workloads, s *sessions) []reconcile.Reconciler {
	list := append(server.Reconcilers(), clusters.Reconcilers()...)
	return append(list, n.reconciler(), names.reconciler(), w.reconciler(), s.reconciler())
}

// dialInside connects to the API server inside a control plane's namespace: there is no other way in for the daemon.
func dialInside(f *fabric.Fabric) func(ctx context.Context, sandbox string) (net.Conn, error) {
	return func(ctx context.Context, sandbox string) (net.Conn, error) {
		return f.Dial(ctx, sandbox, "tcp", "127.0.0.1:443")
	}
}

// listen serves ARM and sign-in at the one URL.
func (d *daemon) listen(ctx context.Context, f *fabric.Fabric, server *arm.Server, ids *identity.Service) error {
	ca, err := tlsca.Open(filepath.Join(d.cfg.DataDir, "tls"), []netip.Prefix{d.cfg.PublicPool, netip.MustParsePrefix("127.0.0.0/8")})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(PublicDir(d.cfg), "ca.pem"), ca.PEM, 0o644); err != nil {
		return err
	}
	system := []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}
	if err := local.WriteBundle(BundleFile(d.cfg), ca.PEM, system, atomicfile.Write); err != nil {
		return err
	}
	l, err := f.Listen(netplan.EdgeNS, net.JoinHostPort(d.cfg.ARMAddress().String(), "443"))
	if err != nil {
		return fmt.Errorf("ARM endpoint: %w", err)
	}
	cert := &certificates{ca: ca, clock: time.Now, addrs: []netip.Addr{d.cfg.ARMAddress(), netip.MustParseAddr("127.0.0.1")}}
	srv := httpbound.NewServer(handler(server, ids), d.log)
	listeners := []net.Listener{l}
	if d.cfg.Listen != "" {
		own, err := f.Listen(netplan.HostNS, d.cfg.Listen)
		if err != nil {
			return errors.Join(fmt.Errorf("ARM endpoint: %w", err), l.Close())
		}
		listeners = append(listeners, own)
	}
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = srv.Shutdown(end)
	})
	defer stop()
	d.parts.set("ARM endpoint", nil)
	d.log.InfoContext(ctx, "the ARM endpoint answers", "url", d.cfg.BaseURL())
	var g errgroup.Group
	for _, l := range listeners {
		g.Go(func() error {
			err := srv.Serve(l, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: cert.get})
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			return err
		})
	}
	return g.Wait()
}

// handler leads sign-in to identity and everything else to ARM.
func handler(server *arm.Server, ids *identity.Service) http.Handler {
	rest := server.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ids.Handler.Owns(r.URL.Path) {
			ids.Handler.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// onlyOne takes the run directory's lock and writes the process's number.
func onlyOne(c config.Config) (func(), error) {
	f, err := lockExclusive(lockFile(c))
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Write(pidFile(c), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		_ = os.Remove(pidFile(c))
		_ = f.Close()
	}, nil
}

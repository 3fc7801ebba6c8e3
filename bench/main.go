// Command bench measures Cloister side by side with its named peers and prints each figure
// with its ratio. Arguments name the figures; none: all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"cloister.dev/cloister/bench/armapi"
	"cloister.dev/cloister/bench/cluster"
	"cloister.dev/cloister/bench/endpoint"
	"cloister.dev/cloister/bench/figure"
	"cloister.dev/cloister/bench/names"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/images"
	"cloister.dev/cloister/internal/kubernetes"
)

// bench is what every measurement is given.
type bench struct {
	self   string // this program
	config config.Config
	report *figure.Report
}

// How much is measured.
var (
	creates = flag.Int("creates", 10, "clusters that are made to measure how long it takes")
	idle    = flag.Duration("idle", 5*time.Minute, "how long a cluster at rest is watched")
	most    = flag.Int("most", 30, "clusters that are tried to fit")
)

type measurement struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

// measurements lists all, in the order in which they run.
var measurements = []measurement{
	{"arm", func(ctx context.Context, b *bench) error {
		etcd, err := b.program(ctx, "etcd-programs", "etcd")
		if err != nil {
			return err
		}
		return armapi.Run(ctx, b.report, b.self, etcd)
	}},
	{"dns", func(ctx context.Context, b *bench) error {
		coredns, err := b.program(ctx, "coredns-programs", "coredns")
		if err != nil {
			return err
		}
		peers, err := b.program(ctx, "peers", "")
		if err != nil {
			return err
		}
		if err := names.Run(ctx, b.report, b.self, coredns, peers); err != nil {
			return err
		}
		return names.RunChange(ctx, b.report, b.self)
	}},
	{"endpoint", func(ctx context.Context, b *bench) error {
		peers, err := b.program(ctx, "peers", "")
		if err != nil {
			return err
		}
		return endpoint.Run(ctx, b.report, b.self, peers)
	}},
	{"create", func(ctx context.Context, b *bench) error {
		return b.cluster(ctx, cluster.Options{Rounds: *creates})
	}},
	{"idle", func(ctx context.Context, b *bench) error {
		return b.cluster(ctx, cluster.Options{Idle: *idle})
	}},
	{"density", func(ctx context.Context, b *bench) error {
		return b.cluster(ctx, cluster.Options{Most: *most})
	}},
	{"webhook", func(ctx context.Context, b *bench) error {
		hello, err := b.program(ctx, "hello-programs", "hello")
		if err != nil {
			return err
		}
		return b.cluster(ctx, cluster.Options{Hello: hello})
	}},
}

// roles are processes that measurements start of this program: its arguments are "role", the name and a folder or an address.
var roles = map[string]func(ctx context.Context, dir string) error{
	armapi.RoleServer: armapi.Serve,
	armapi.RoleBare:   armapi.ServeBare,
	names.RoleServer:  names.Serve,
	names.RoleMany:    names.ServeMany,

	cluster.RoleProbe: cluster.Probe,

	endpoint.RoleServer: endpoint.ServeSockets,
	endpoint.RoleClient: endpoint.Connect,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	flag.Parse()
	args := flag.Args()
	if len(args) == 3 && args[0] == "role" {
		role, ok := roles[args[1]]
		if !ok {
			return fmt.Errorf("no role is called %q", args[1])
		}
		if file := os.Getenv(profileEnv); file != "" {
			return profiled(file+"."+args[1], func() error { return role(ctx, args[2]) })
		}
		return role(ctx, args[2])
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cfg, err := config.Load("", os.Environ())
	if err != nil {
		return err
	}
	b := &bench{self: self, config: cfg, report: &figure.Report{Out: os.Stdout}}
	for _, name := range args {
		if !slices.ContainsFunc(measurements, func(m measurement) bool { return m.name == name }) {
			return fmt.Errorf("no figure is called %q", name)
		}
	}
	var failed []string
	for _, m := range measurements {
		if len(args) > 0 && !slices.Contains(args, m.name) {
			continue
		}
		fmt.Println(m.name)
		if err := m.run(ctx, b); err != nil {
			fmt.Fprintf(os.Stderr, "  %s: %v\n", m.name, err)
			failed = append(failed, m.name)
		}
	}
	fmt.Println()
	if err := b.report.Table(); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("not measured: %s", strings.Join(failed, ", "))
	}
	return nil
}

// program is the path of a program of an artefact, built if it is not there.
func (b *bench) program(ctx context.Context, artefact, program string) (string, error) {
	built, err := images.Build(ctx, images.Options{SourceDir: b.config.SourceDir, CacheDir: b.config.CacheDir, Progress: func(format string, args ...any) { fmt.Printf("  "+format+"\n", args...) }}, artefact)
	if err != nil {
		return "", err
	}
	return filepath.Join(built[artefact].Path, program), nil
}

// cluster measures with an instance of the benchmark's own.
func (b *bench) cluster(ctx context.Context, o cluster.Options) error {
	etcd, err := b.program(ctx, "etcd-programs", "etcd")
	if err != nil {
		return err
	}
	kube, err := b.program(ctx, "kube-programs-v"+kubernetes.Versions()[0], "kube")
	if err != nil {
		return err
	}
	o.Self, o.Cloister, o.Source, o.Etcd, o.Kube = b.self, filepath.Join(filepath.Dir(b.self), "cloister"), b.config.SourceDir, etcd, kube
	return cluster.Run(ctx, b.report, o)
}

// profileEnv names a file; then each role writes a CPU profile to it, with its name at the end.
const profileEnv = "BENCH_PROFILE"

func profiled(file string, run func() error) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- run() }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	select {
	case err = <-ended:
	case <-stop:
	}
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

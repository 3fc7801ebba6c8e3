package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
)

// controlPlaneConfig holds the arguments of the three programs as their own
// command lines would have them. All three share one process, and with it one
// set of feature gates and one logging configuration: the API server's.
type controlPlaneConfig struct {
	APIServer         []string `json:"apiServer"`
	ControllerManager []string `json:"controllerManager"`
	Scheduler         []string `json:"scheduler"`
}

// How long a stop waits for the controller manager and the scheduler, and then for the API server.
const (
	clientsStop = 2 * time.Second
	serverStop  = 5 * time.Second
)

// settleAfter is when the garbage collector is set to settledGC percent.
const (
	settleAfter = 20 * time.Second
	settledGC   = 25
)

// errEnded is what a part's return means while nobody asked it to stop.
var errEnded = errors.New("ended by itself")

// controlPlane runs the API server, the controller manager and the scheduler
// until SIGTERM or SIGINT, or until one of them ends: then the others end too,
// and whoever started the process starts all of them anew.
func controlPlane(args []string) int {
	defer klog.Flush()
	fs := flag.NewFlagSet("control-plane", flag.ContinueOnError)
	file := fs.String("config", "/etc/cloister/control-plane.json", "file with the arguments of the three programs")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	cfg, err := readControlPlaneConfig(*file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube control-plane:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := runControlPlane(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "kube control-plane:", err)
		return 1
	}
	return 0
}

func readControlPlaneConfig(file string) (controlPlaneConfig, error) {
	var cfg controlPlaneConfig
	b, err := os.ReadFile(file)
	if err != nil {
		return cfg, err
	}
	if err := json.Unmarshal(b, &cfg); err != nil {
		return cfg, fmt.Errorf("%s: %w", file, err)
	}
	return cfg, nil
}

func runControlPlane(ctx context.Context, cfg controlPlaneConfig) error {
	api, err := newAPIServer(cfg.APIServer)
	if err != nil {
		return fmt.Errorf("API server: %w", err)
	}
	manager, err := newControllerManager(cfg.ControllerManager)
	if err != nil {
		return fmt.Errorf("controller manager: %w", err)
	}
	sched, err := newScheduler(cfg.Scheduler)
	if err != nil {
		return fmt.Errorf("scheduler: %w", err)
	}
	if err := applyGlobals(api); err != nil {
		return err
	}

	// The clients of the API server end before it: it would wait for them, and
	// they would complain about its absence.
	apiCtx, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAPI()
	clientCtx, stopClients := context.WithCancel(ctx)
	defer stopClients()

	failed := make(chan error, 3)
	run := func(wg *sync.WaitGroup, name string, of context.Context, f func(context.Context) error) {
		wg.Go(func() {
			err := f(of)
			if of.Err() != nil {
				return // it was told to; what it says now is no news
			}
			if err == nil {
				err = errEnded
			}
			failed <- fmt.Errorf("%s: %w", name, err)
		})
	}
	var server, clients sync.WaitGroup
	ready := make(chan struct{})
	run(&server, "API server", apiCtx, func(ctx context.Context) error { return api.run(ctx, ready) })

	select {
	case <-ready:
		run(&clients, "controller manager", clientCtx, manager.run)
		run(&clients, "scheduler", clientCtx, sched.run)
		go settle(clientCtx)
	case <-ctx.Done():
	case err = <-failed:
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	stopClients()
	waitAtMost(&clients, clientsStop)
	stopAPI()
	waitAtMost(&server, serverStop)
	return err
}

// settle trades memory for time the other way round once the start is over: a
// start allocates much and keeps little, and a cluster is mostly at rest.
func settle(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(settleAfter):
		debug.SetGCPercent(settledGC)
		debug.FreeOSMemory()
	}
}

// waitAtMost waits for wg, but not for ever: without etcd, neither the
// controllers nor the API server come to an end.
func waitAtMost(wg *sync.WaitGroup, limit time.Duration) {
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(limit):
		klog.InfoS("Stopping took too long", "limit", limit)
	}
}

// applyGlobals puts into force, once, what the three share in this process:
// feature gates and emulated versions, logging, and clients' warnings, which
// would only be about requests that the programs make themselves.
func applyGlobals(api *apiServer) error {
	globals := api.options.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := globals.Set(); err != nil {
		return err
	}
	gate := globals.FeatureGateFor(basecompatibility.DefaultKubeComponent)
	if err := logsapi.ValidateAndApply(api.options.Logs, gate); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if mutable, ok := gate.(featuregate.MutableFeatureGate); ok {
		mutable.AddMetrics()
	}
	globals.AddMetrics()
	return nil
}

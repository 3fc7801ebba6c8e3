package main

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// readyInterval is how often the API server is asked whether it is ready. The
// request stays in the process, and every node waits for its answer.
const readyInterval = 50 * time.Millisecond

// parseFlags parses a program's arguments with that program's own flag sets.
func parseFlags(name string, sets cliflag.NamedFlagSets, args []string) error {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard) // the error says it; the usage is that of hundreds of flags
	for _, f := range sets.FlagSets {
		fs.AddFlagSet(f)
	}
	return fs.Parse(args)
}

type apiServer struct {
	options *options.ServerRunOptions
}

func newAPIServer(args []string) (*apiServer, error) {
	s := options.NewServerRunOptions()
	return &apiServer{s}, parseFlags("kube-apiserver", s.Flags(), args)
}

// run serves until ctx ends, and closes ready when /readyz first says so.
func (a *apiServer) run(ctx context.Context, ready chan<- struct{}) error {
	opts, err := a.options.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := opts.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	if opts.InformerName, err = cache.NewInformerName("kube-apiserver"); err != nil {
		return err
	}
	config, err := app.NewConfig(opts)
	if err != nil {
		return err
	}
	if err := bootstrapEarly(config.KubeAPIs.ControlPlane.Generic); err != nil {
		return err
	}
	completed, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := app.CreateServerChain(completed)
	if err != nil {
		return err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return err
	}
	loopback := config.KubeAPIs.ControlPlane.Generic.LoopbackClientConfig
	go func() {
		if waitReady(ctx, loopback) == nil {
			close(ready)
		}
	}()
	return prepared.Run(ctx)
}

// waitReady returns when the server behind config is ready, or with an error when ctx ends.
func waitReady(ctx context.Context, config *rest.Config) error {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	return wait.PollUntilContextCancel(ctx, readyInterval, true, func(ctx context.Context) (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/readyz", nil)
		if err != nil {
			return false, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return false, nil // it does not listen yet
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
}

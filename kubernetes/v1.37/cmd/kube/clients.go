package main

import (
	"context"

	"k8s.io/client-go/tools/cache"
	cmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	cmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	schedapp "k8s.io/kubernetes/cmd/kube-scheduler/app"
	schedoptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

type controllerManager struct {
	options *cmoptions.KubeControllerManagerOptions
}

func newControllerManager(args []string) (*controllerManager, error) {
	o, err := cmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	sets := o.Flags(cmapp.KnownControllers(), cmapp.ControllersDisabledByDefault(), cmapp.ControllerAliases())
	return &controllerManager{o}, parseFlags("kube-controller-manager", sets, args)
}

func (m *controllerManager) run(ctx context.Context) error {
	// The broadcaster of events outlives ctx a little: Run shuts it down.
	config, err := m.options.Config(context.WithoutCancel(ctx),
		cmapp.KnownControllers(), cmapp.ControllersDisabledByDefault(), cmapp.ControllerAliases())
	if err != nil {
		return err
	}
	return cmapp.Run(ctx, config.Complete())
}

type scheduler struct {
	options *schedoptions.Options
}

func newScheduler(args []string) (*scheduler, error) {
	o := schedoptions.NewOptions()
	return &scheduler{o}, parseFlags("kube-scheduler", *o.Flags, args)
}

func (s *scheduler) run(ctx context.Context) error {
	name, err := cache.NewInformerName("kube-scheduler")
	if err != nil {
		return err
	}
	s.options.InformerName = name
	config, sched, err := schedapp.Setup(ctx, s.options)
	if err != nil {
		return err
	}
	return schedapp.Run(ctx, config, sched)
}

package main

import (
	"k8s.io/component-base/cli"
	apiapp "k8s.io/kubernetes/cmd/kube-apiserver/app"
	cmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	schedapp "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// The programs of a control plane as upstream builds them, each a process of its
// own: what the one process is measured against.

func upstreamAPIServer(args []string) int {
	c := apiapp.NewAPIServerCommand()
	c.SetArgs(args)
	return cli.Run(c)
}

func upstreamControllerManager(args []string) int {
	c := cmapp.NewControllerManagerCommand()
	c.SetArgs(args)
	return cli.Run(c)
}

func upstreamScheduler(args []string) int {
	c := schedapp.NewSchedulerCommand()
	c.SetArgs(args)
	return cli.Run(c)
}

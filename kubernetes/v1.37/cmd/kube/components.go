package main

import (
	"context"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	proxyapp "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
)

func kubelet(args []string) int {
	c := kubeletapp.NewKubeletCommand(context.Background())
	c.SetArgs(args)
	return cli.Run(c)
}

func kubeProxy(args []string) int {
	c := proxyapp.NewProxyCommand()
	c.SetArgs(args)
	return cli.Run(c)
}

func kubectl(args []string) int {
	c := cmd.NewDefaultKubectlCommand()
	c.SetArgs(args)
	if err := cli.RunNoErrOutput(c); err != nil {
		util.CheckErr(err)
	}
	return 0
}

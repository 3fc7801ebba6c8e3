// Command kube is every Kubernetes program that Cloister runs, in one binary.
//
// The first argument, or the name that the binary was called by, chooses the
// program: control-plane, kubelet, kube-proxy or kubectl. kube-apiserver,
// kube-controller-manager and kube-scheduler are there as upstream has them, to compare with.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/transport"
)

// programs maps a program's name to its entry. Each takes the arguments that
// follow its name and returns the exit status.
var programs = map[string]func(args []string) int{
	"control-plane": controlPlane,
	"kubelet":       kubelet,
	"kube-proxy":    kubeProxy,
	"kubectl":       kubectl,

	"kube-apiserver":          upstreamAPIServer,
	"kube-controller-manager": upstreamControllerManager,
	"kube-scheduler":          upstreamScheduler,
}

// certificateInterval is how often clients look whether their certificate's file
// has changed. The servers look every minute.
const certificateInterval = 20 * time.Second

func main() {
	transport.CertCallbackRefreshDuration = certificateInterval
	args := os.Args
	run, ok := programs[filepath.Base(args[0])]
	if !ok && len(args) > 1 {
		args = args[1:]
		run, ok = programs[args[0]]
	}
	if !ok {
		fmt.Fprintln(os.Stderr, "usage: kube {control-plane|kubelet|kube-proxy|kubectl} [flags]")
		os.Exit(2)
	}
	os.Args = args
	os.Exit(run(args[1:]))
}

// Command demo starts Cloister and walks through a private cluster with the real
// az CLI. An argument chooses another walk than the story: workloads.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"cloister.dev/cloister/test/walk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	name := "story"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	if err := demo(ctx, name); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// walks are what can be seen.
var walks = map[string]func() []walk.Step{"story": walk.Story, "workloads": walk.Workloads}

func demo(ctx context.Context, name string) error {
	steps, ok := walks[name]
	if !ok {
		return fmt.Errorf("there is no walk %q, but story and workloads", name)
	}
	bin, err := walk.Binary()
	if err != nil {
		return err
	}
	up := exec.CommandContext(ctx, bin, "up")
	up.Stdout, up.Stderr = os.Stdout, os.Stderr
	if err := up.Run(); err != nil {
		return fmt.Errorf("cloister up: %w", err)
	}
	w := &walk.Walk{Cloister: bin, Out: os.Stdout, Region: "eastus", Nodes: 3}
	return w.Run(ctx, steps())
}

// Command demo starts Cloister and walks through a private cluster with the real az CLI.
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
	if err := demo(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context) error {
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
	return w.Run(ctx, walk.Story())
}

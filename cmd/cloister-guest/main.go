// Command cloister-guest is the first process of a node: it prepares the
// container for a kubelet, keeps containerd, kubelet and kube-proxy running, gives
// containerd the images that came with the node, and reaps what is left to it.
//
// It reads /etc/cloister/node.json; see config for its shape.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

const configFile = "/etc/cloister/node.json"

func main() {
	log.SetFlags(0)
	log.SetPrefix("guest| ")
	log.SetOutput(os.Stdout)
	debug.SetGCPercent(25) // it is small and stays small
	if err := run(); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

func run() error {
	c, err := loadConfig(configFile)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := prepare(); err != nil {
		return fmt.Errorf("prepare the node: %w", err)
	}
	children := newReaper()
	go children.run()
	newNode(c, children, os.Stdout).run(ctx)
	endAll()
	log.Print("stopped")
	return nil
}

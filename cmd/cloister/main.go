// Command cloister is private Kubernetes as a service on your own machines:
// the daemon, and the commands that start it and use it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/nsrun"
)

func init() { runtime.LockOSThread() } // the first thread is the process to /proc/self: nobody takes it into another namespace

func main() {
	nsrun.EnterIfAsked()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := root().ExecuteContext(ctx)
	var exit exitError
	switch {
	case errors.As(err, &exit):
		os.Exit(int(exit))
	case err != nil:
		fmt.Fprintln(os.Stderr, "cloister:", err)
		os.Exit(1)
	}
}

// exitError is the exit status of a command that was run for the user.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// settings is the configuration of this call: file, then environment, then flags.
type settings struct {
	file  string
	flags config.Config
	cmd   *cobra.Command
}

func (s *settings) load() (config.Config, error) {
	c, err := config.Load(s.file, os.Environ())
	if err != nil {
		return c, err
	}
	for name, set := range map[string]func(){
		"data-dir":   func() { c.DataDir = s.flags.DataDir },
		"run-dir":    func() { c.RunDir = s.flags.RunDir },
		"cache-dir":  func() { c.CacheDir = s.flags.CacheDir },
		"source-dir": func() { c.SourceDir = s.flags.SourceDir },
		"log-level":  func() { c.LogLevel = s.flags.LogLevel },
	} {
		if s.cmd.PersistentFlags().Changed(name) {
			set()
		}
	}
	if c.SourceDir == "" {
		c.SourceDir = sourceDir()
	}
	return c, c.Validate()
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "cloister",
		Short:         "Private Kubernetes as a service on your own machines",
		Long:          "Cloister runs private Kubernetes clusters on this machine, behind the protocol of Azure Resource Manager.\n\nBegin with `cloister up`, then `eval \"$(cloister env)\"` and use az, Terraform, kubectl or an SDK.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	s := &settings{cmd: cmd}
	f := cmd.PersistentFlags()
	f.StringVar(&s.file, "config", "", "configuration file (default "+config.DefaultFile+", if it is there)")
	f.StringVar(&s.flags.DataDir, "data-dir", "", "where what must last is kept")
	f.StringVar(&s.flags.RunDir, "run-dir", "", "where sockets and pinned namespaces are")
	f.StringVar(&s.flags.CacheDir, "cache-dir", "", "where built artefacts are kept by content")
	f.StringVar(&s.flags.SourceDir, "source-dir", "", "Cloister's source tree, to build artefacts from")
	f.StringVar(&s.flags.LogLevel, "log-level", "", "debug, info, warn or error")
	cmd.AddCommand(upCommand(s), downCommand(s), statusCommand(s), serveCommand(s), envCommand(s), runCommand(s),
		logsCommand(s), configCommand(s), imagesCommand(s), resolverCommand(), keeperCommand())
	return cmd
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cloister.dev/cloister/internal/app"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/local"
	"cloister.dev/cloister/internal/nsrun"
)

func runCommand(s *settings) *cobra.Command {
	var subnet string
	var workstation bool
	cmd := &cobra.Command{
		Use:   "run [--subnet ID] [--workstation] -- COMMAND [ARG...]",
		Short: "Run a command inside a virtual network",
		Long: `Run any command of this machine inside a virtual network, with a network interface, a resolver and a
mount namespace of its own: what a CI job needs to reach a private cluster.

    cloister run --subnet "$SUBNETID" -- kubectl get nodes

With --workstation the command comes from the workstation image, which has az, kubectl, nslookup, curl and
ssh; without --subnet it then runs in the host's network. Files below $HOME/.cloister and the current
folder are the same inside.

Members of the group cloister need no root: the daemon starts the command as them, in the network, if who is
signed in (ARM_CLIENT_ID and ARM_CLIENT_SECRET, else az) may do subnets/join/action at the subnet.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if subnet == "" && !workstation {
				return errors.New("run: --subnet ID says in which virtual network the command runs (az network vnet subnet show --query id -o tsv)")
			}
			c, err := s.load()
			if err != nil {
				return err
			}
			return runIn(cmd.Context(), c, subnet, workstation, args)
		},
	}
	cmd.Flags().StringVar(&subnet, "subnet", "", "id of the subnet")
	cmd.Flags().BoolVar(&workstation, "workstation", false, "take the command from the workstation image")
	return cmd
}

func runIn(ctx context.Context, c config.Config, subnet string, workstation bool, args []string) error {
	opts := nsrun.Options{Args: args, Env: os.Environ()}
	switch {
	case os.Geteuid() != 0 && subnet != "":
		return runAsMember(ctx, c, subnet, workstation, args)
	case workstation:
		if err := useWorkstation(ctx, c, &opts); err != nil {
			return err
		}
	}
	if subnet != "" {
		client := local.NewClient(c.RunDir)
		session, err := client.OpenSession(ctx, local.SessionRequest{Subnet: subnet, PID: os.Getpid()})
		if err != nil {
			return err
		}
		defer func() {
			// The command's context may have ended; the interface has to go all the same.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err := client.CloseSession(ctx, session.ID); err != nil {
				fmt.Fprintln(os.Stderr, "cloister: the interface of this run is not removed yet:", err)
			}
		}()
		opts.NetNS, opts.Resolver = session.NetNS, app.PlatformDNS
	}
	code, err := nsrun.Run(ctx, opts)
	return exited(code, err)
}

// exited makes an error of an exit status other than 0.
func exited(code int, err error) error {
	if err == nil && code != 0 {
		return exitError(code)
	}
	return err
}

// useWorkstation takes the command from the workstation image.
func useWorkstation(ctx context.Context, c config.Config, opts *nsrun.Options) error {
	root, kubectl, err := app.Workstation(c)
	if err != nil {
		return err
	}
	opts.RootFS = root
	vars, err := environment(ctx, c)
	if err != nil {
		return err
	}
	// az of this version warns of its own code at every command; a person can do nothing about it.
	opts.Env = append([]string{"PYTHONWARNINGS=ignore::FutureWarning"}, with(opts.Env, vars)...)
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	// Keys that `az … --generate-ssh-keys` makes stay in the folder of Cloister's clients.
	state := filepath.Join(home, ".cloister")
	if err := os.MkdirAll(filepath.Join(state, "ssh"), 0o700); err != nil {
		return err
	}
	opts.Binds = append(opts.Binds, nsrun.Bind{Source: kubectl, Target: "/usr/local/bin/kubectl", ReadOnly: true}, nsrun.Bind{Source: state, Target: state}, nsrun.Bind{Source: filepath.Join(state, "ssh"), Target: filepath.Join(home, ".ssh")},
		nsrun.Bind{Source: dir, Target: dir}, nsrun.Bind{Source: app.PublicDir(c), Target: app.PublicDir(c), ReadOnly: true})
	opts.Dir = dir
	return nil
}

// with puts the variables on top of an environment.
func with(env []string, vars []local.Variable) []string {
	own := map[string]bool{}
	for _, v := range vars {
		own[v.Name] = true
	}
	var out []string
	for _, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); !own[name] {
			out = append(out, kv)
		}
	}
	for _, v := range vars {
		out = append(out, v.Name+"="+v.Value)
	}
	return out
}

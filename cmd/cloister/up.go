package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"cloister.dev/cloister/internal/app"
)

func upCommand(s *settings) *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Check this host, prepare what is missing, and start Cloister",
		Long:  "Check this host, prepare what is missing, and start Cloister. It is safe to repeat: what runs is left alone.\n--dry-run names every change of the host before it is made, and makes none.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if dry {
				return app.DryRun(cmd.Context(), c, out)
			}
			start := time.Now()
			if err := app.Up(cmd.Context(), c, newProgress(out)); err != nil {
				return err
			}
			fmt.Fprintf(out, `
Cloister runs at %[1]s (%[2]s). Next:

  eval "$(%[4]s env)"
  az cloud register -n Cloister --endpoint-resource-manager "$CLOISTER_URL" && az cloud set -n Cloister
  az login --service-principal -u "$ARM_CLIENT_ID" -p "$ARM_CLIENT_SECRET" --tenant "$ARM_TENANT_ID"
  az group create -n demo -l %[3]s
  az aks create -g demo -n prod --enable-private-cluster --generate-ssh-keys --yes

No az CLI 2.74 here? Put "%[4]s run --workstation --" before each az command.
A person signs in with the user and the password in %[5]s.
`, c.BaseURL(), time.Since(start).Round(100*time.Millisecond), c.Regions[0], os.Args[0], app.CredentialsFile(c))
			return nil
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "name every change of this host, and change nothing")
	return cmd
}

func downCommand(s *settings) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop Cloister: clusters, networks and the daemon",
		Long:  "Stop Cloister: clusters, networks and the daemon. What was created stays in the data directory, and `cloister up` starts it again.\n--purge removes that, too: every cluster and its data, keys and certificates. Built artefacts stay in the cache.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			return app.Down(cmd.Context(), c, purge, newProgress(cmd.OutOrStdout()))
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove all data as well")
	return cmd
}

func serveCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon in the foreground (`up` starts it for you)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			return app.Serve(cmd.Context(), c, version())
		},
	}
}

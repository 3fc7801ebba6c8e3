package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"cloister.dev/cloister/internal/app"
	"cloister.dev/cloister/internal/dns"
)

// resolverCommand is the resolver's process: a workload that the daemon keeps running.
func resolverCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "resolver", Short: "Answer names in virtual networks (started by the daemon)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return dns.Serve(cmd.Context(), dns.Options{File: file, Log: slog.New(slog.NewJSONHandler(os.Stdout, nil))})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "zones, as the daemon writes them")
	return cmd
}

// keeperCommand keeps one command of a member of the group: the daemon starts it.
func keeperCommand() *cobra.Command {
	return &cobra.Command{
		Use: app.KeeperCommand, Short: "Keep a member's command (started by the daemon)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return app.KeepMember() },
	}
}

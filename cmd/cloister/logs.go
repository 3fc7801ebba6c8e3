package main

import (
	"github.com/spf13/cobra"

	"cloister.dev/cloister/internal/app"
)

func logsCommand(s *settings) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [CONTAINER]",
		Short: "Print the daemon's log, or a container's (names: cloister status)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return app.Logs(cmd.Context(), c, name, follow, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	return cmd
}

func imagesCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "images [NAME...]",
		Short: "Build what Cloister runs: images and programs, by content",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			return app.BuildImages(cmd.Context(), c, args, newProgress(cmd.OutOrStdout()))
		},
	}
}

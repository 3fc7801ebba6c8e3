package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cloister.dev/cloister/internal/local"
)

func statusCommand(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether Cloister runs, its parts, clusters and containers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			st, err := local.NewClient(c.RunDir).Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(st)
			}
			if err := printStatus(cmd.OutOrStdout(), st); err != nil {
				return err
			}
			for _, p := range st.Parts {
				if !p.OK {
					return exitError(1)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printStatus(out io.Writer, st *local.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Cloister %s at %s, up %s\n\n", st.Version, st.URL, age(st.Since))
	fmt.Fprintln(w, "PART\tSTATE")
	for _, p := range st.Parts {
		state := "ok"
		if !p.OK {
			state = "not ok"
		}
		if p.Message != "" {
			state += ": " + p.Message
		}
		fmt.Fprintf(w, "%s\t%s\n", p.Name, state)
	}
	fmt.Fprintf(w, "\n%d virtual networks, %d clusters\n", st.Networks, len(st.Clusters))
	if len(st.Clusters) > 0 {
		fmt.Fprintln(w, "\nCLUSTER\tVERSION\tSTATE\tNODES\tNOTE")
		for _, c := range st.Clusters {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.ID, c.Version, c.State, c.Nodes, c.Message)
		}
	}
	if len(st.Workloads) > 0 {
		fmt.Fprintln(w, "\nCONTAINER\tKIND\tSTATE\tAGE\tRESTARTS\tNOTE")
		for _, x := range st.Workloads {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", x.Name, x.Kind, x.Phase, age(x.Since), x.Restarts, x.Message)
		}
	}
	for _, n := range st.Notes {
		fmt.Fprintf(w, "\n%s\n", n)
	}
	return w.Flush()
}

func age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return time.Since(t).Round(time.Second).String()
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cloister.dev/cloister/internal/app"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/local"
)

func envCommand(s *settings) *cobra.Command {
	var unset, list bool
	cmd := &cobra.Command{
		Use:   "env",
		Short: `Print one line that points this shell's clients here: eval "$(cloister env)"`,
		Long: `Print one line that makes az, Terraform, kubectl and the Azure SDKs of this shell talk to Cloister.

They get a configuration folder and a kubeconfig of their own, so that no sign-in to a real cloud is
touched, and a certificate bundle that adds Cloister's authority to the system's.

    eval "$(cloister env)"            # use Cloister
    eval "$(cloister env --unset)"    # and back`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			vars, err := environment(cmd.Context(), c)
			if err != nil {
				return err
			}
			switch {
			case unset:
				fmt.Fprintln(cmd.OutOrStdout(), local.Unsets(vars))
			case list:
				for _, v := range vars {
					fmt.Fprintln(cmd.OutOrStdout(), v.Name+"="+v.Value)
				}
			default:
				fmt.Fprintln(cmd.OutOrStdout(), local.Exports(vars))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&unset, "unset", false, "print the line that goes back")
	cmd.Flags().BoolVar(&list, "list", false, "print NAME=value lines instead, for a CI job's environment")
	cmd.MarkFlagsMutuallyExclusive("unset", "list")
	return cmd
}

// environment is the clients' variables, with the administrator's credentials for root. Others have an
// identity of their own: `az login --use-device-code`.
func environment(ctx context.Context, c config.Config) ([]local.Variable, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	url := c.BaseURL()
	if os.Geteuid() != 0 {
		// The daemon knows what it was started with.
		st, err := local.NewClient(c.RunDir).Status(ctx)
		if err != nil {
			return nil, err
		}
		url = st.URL
	}
	home = filepath.Join(home, ".cloister")
	if err := os.MkdirAll(filepath.Join(home, "azure"), 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(app.BundleFile(c)); err != nil {
		return nil, fmt.Errorf("no certificate bundle at %s: start Cloister first, with `cloister up`", app.BundleFile(c))
	}
	cred, err := credentials(c)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	return local.Environment(url, app.BundleFile(c), home, cred, os.Getenv("NO_PROXY")), nil
}

func credentials(c config.Config) (*local.Credentials, error) {
	b, err := os.ReadFile(app.CredentialsFile(c))
	if err != nil {
		return nil, err
	}
	cred := &local.Credentials{}
	if err := json.Unmarshal(b, cred); err != nil {
		return nil, fmt.Errorf("%s: %w", app.CredentialsFile(c), err)
	}
	return cred, nil
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"cloister.dev/cloister/internal/config"
)

func configCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the configuration in force",
		Long: "Print the configuration in force: defaults, then the file, then the environment, then flags.\n\nEnvironment: " +
			strings.Join(config.Variables(), ", ") + ".",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			out, err := yaml.Marshal(c)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), string(out))
			return err
		},
	}
}

// sourceDir finds the source tree that the binary stands in (<tree>/bin/cloister), or "".
func sourceDir() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	dir := filepath.Dir(filepath.Dir(exe))
	b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.HasPrefix(string(b), "module cloister.dev/cloister\n") {
		return ""
	}
	return dir
}

// version is the version control revision that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "development"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += "+" + s.Value[:12]
		}
	}
	return v
}

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/engine"
	"cloister.dev/cloister/internal/images"
	"cloister.dev/cloister/internal/kubernetes"
)

// artefacts are what the daemon runs.
func artefacts() []string {
	out := []string{"containerd-programs", "runc-programs", "logger-programs", "etcd", "cloister"}
	for _, v := range kubernetes.Versions() {
		out = append(out, "kube-v"+v, "node-v"+v)
	}
	return out
}

// wanted are all that `up` builds: the workstation is for people.
func wanted() []string { return append(artefacts(), "workstation") }

// prepareArtefacts builds what is missing, the workstation with it.
func prepareArtefacts(ctx context.Context, c config.Config, say Progress) error {
	built, err := images.Build(ctx, images.Options{SourceDir: c.SourceDir, CacheDir: c.CacheDir, Progress: say}, wanted()...)
	if err != nil {
		return err
	}
	say("%d artefacts are ready in %s", len(built), c.CacheDir)
	// `run` finds these by links, without a source tree.
	newest := "kube-programs-v" + kubernetes.Versions()[0]
	for name, target := range map[string]string{"workstation": built["workstation"].Path, "kubectl": filepath.Join(built[newest].Path, "kube")} {
		link := filepath.Join(c.DataDir, name)
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	return nil
}

// BuildImages builds the named artefacts, or all.
func BuildImages(ctx context.Context, c config.Config, names []string, say Progress) error {
	if len(names) == 0 {
		names = images.Names()
	}
	built, err := images.Build(ctx, images.Options{SourceDir: c.SourceDir, CacheDir: c.CacheDir, Progress: say}, names...)
	if err != nil {
		return err
	}
	for _, name := range names {
		say("%s: %s", name, built[name].Path)
	}
	return nil
}

// Workstation is the root file system with az, and the program that is kubectl in it.
func Workstation(c config.Config) (root, kubectl string, err error) {
	root, err = filepath.EvalSymlinks(filepath.Join(c.DataDir, "workstation"))
	if err == nil {
		kubectl, err = filepath.EvalSymlinks(filepath.Join(c.DataDir, "kubectl"))
	}
	if err != nil {
		return "", "", fmt.Errorf("the workstation is not built: run `cloister up` (%w)", err)
	}
	return root, kubectl, nil
}

// Logs copies a container's log, or the daemon's for "".
func Logs(ctx context.Context, c config.Config, name string, follow bool, w io.Writer) error {
	if name == "" {
		return engine.CopyLog(ctx, LogFile(c), follow, w)
	}
	if filepath.Base(name) != name {
		return fmt.Errorf("logs: %q is no name of a container: `cloister status` shows them", name)
	}
	return engine.CopyLog(ctx, filepath.Join(c.DataDir, "log", "containers", name+".log"), follow, w)
}

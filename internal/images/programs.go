package images

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// goTools builds the tools that a module of images/go names in its go.mod, and the module's own programs, if any are named.
func goTools(name string, env, flags []string, hint string, own ...string) recipe {
	dir := "images/go/" + name
	return recipe{kind: Programs, inputs: []string{dir}, facts: slices.Concat(env, flags, own), hint: hint, build: func(ctx context.Context, j *job) error {
		return goBuild(ctx, j, dir, env, flags, append([]string{"tool"}, own...)...)
	}}
}

// containerd builds it with its module's version stamped: else it, and every
// node, would call itself after the next one, "+unknown".
func containerd() recipe {
	const dir, path = "images/go/containerd", "github.com/containerd/containerd/v2"
	return recipe{kind: Programs, version: 1, inputs: []string{dir}, hint: " (two minutes)", build: func(ctx context.Context, j *job) error {
		version, err := moduleVersion(ctx, filepath.Join(j.source, dir), path)
		if err != nil {
			return err
		}
		return goBuild(ctx, j, dir, nil, []string{"-ldflags=-s -w -X " + path + "/version.Version=" + strings.TrimPrefix(version, "v")}, "tool")
	}}
}

// moduleVersion is the version of a module that another one in dir builds with.
func moduleVersion(ctx context.Context, dir, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", module)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("version of %s in %s: %w", module, dir, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// goMain builds the main package of a module of images/go under the module's name.
func goMain(name string) recipe {
	dir := "images/go/" + name
	return recipe{kind: Programs, inputs: []string{dir}, build: func(ctx context.Context, j *job) error {
		return goBuild(ctx, j, dir, nil, nil, ".")
	}}
}

func goBuild(ctx context.Context, j *job, dir string, env, flags []string, packages ...string) error {
	if err := os.MkdirAll(j.out, 0o755); err != nil {
		return err
	}
	args := append([]string{"go", "build", "-trimpath", "-buildvcs=false", "-o", j.out + string(filepath.Separator)}, flags...)
	if !strings.Contains(strings.Join(flags, " "), "-ldflags") {
		args = append(args, "-ldflags=-s -w")
	}
	return run(ctx, filepath.Join(j.source, dir), append([]string{"CGO_ENABLED=0"}, env...), append(args, packages...)...)
}

// kube builds the one binary of a Kubernetes version.
func kube(folder, version string) recipe {
	return kubernetes("kubernetes/"+folder, "./cmd/kube", version, " (about ten minutes on two cores, the first time)")
}

// conformance builds upstream's tests of a Kubernetes version.
func conformance(folder, version string) recipe {
	return kubernetes("kubernetes/e2e-"+folder, ".", version, " (some minutes)")
}

// kubernetes builds a program of a module below kubernetes/, with the version
// stamped: without the stamps it would call itself v0.0.0-master.
func kubernetes(dir, program, version, hint string) recipe {
	parts := strings.Split(version, ".")
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for name, value := range map[string]string{
			"gitVersion": "v" + version, "gitMajor": parts[0], "gitMinor": parts[1], "gitTreeState": "clean",
			"gitCommit": "v" + version, "buildDate": "1970-01-01T00:00:00Z",
		} {
			flags = append(flags, "-X "+pkg+"."+name+"="+value)
		}
	}
	slices.Sort(flags)
	return recipe{
		kind: Programs, inputs: []string{dir}, facts: []string{version}, hint: hint,
		build: func(ctx context.Context, j *job) error {
			return goBuild(ctx, j, dir, nil, []string{"-ldflags=-s -w " + strings.Join(flags, " ")}, program)
		},
	}
}

// own builds a program of this tree.
func own(name string, inputs ...string) recipe {
	return recipe{kind: Programs, inputs: append([]string{"go.mod", "go.sum", "cmd/" + name}, inputs...), build: func(ctx context.Context, j *job) error {
		return goBuild(ctx, j, ".", nil, nil, "./cmd/"+name)
	}}
}

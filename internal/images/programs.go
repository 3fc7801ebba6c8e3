package images

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// goTools builds the tools that a module of images/go names in its go.mod.
func goTools(name string, env, flags []string, hint string) recipe {
	dir := "images/go/" + name
	return recipe{kind: Programs, inputs: []string{dir}, facts: append(env, flags...), hint: hint, build: func(ctx context.Context, j *job) error {
		return goBuild(ctx, j, dir, env, flags, "tool")
	}}
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

// kube builds the one binary of a Kubernetes version, with the version stamped:
// without the stamps it would call itself v0.0.0-master.
func kube(folder, version string) recipe {
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
	dir := "kubernetes/" + folder
	return recipe{
		kind: Programs, inputs: []string{dir}, facts: []string{version}, hint: " (about ten minutes on two cores, the first time)",
		build: func(ctx context.Context, j *job) error {
			return goBuild(ctx, j, dir, nil, []string{"-ldflags=-s -w " + strings.Join(flags, " ")}, "./cmd/kube")
		},
	}
}

// own builds a program of this tree.
func own(name string, inputs ...string) recipe {
	return recipe{kind: Programs, inputs: append([]string{"go.mod", "go.sum", "cmd/" + name}, inputs...), build: func(ctx context.Context, j *job) error {
		return goBuild(ctx, j, ".", nil, nil, "./cmd/"+name)
	}}
}

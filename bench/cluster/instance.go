package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"cloister.dev/cloister/bench/azure"
)

// instance is a Cloister of the benchmark's own: everything but the cache of artefacts is below its folder.
type instance struct {
	bin, dir     string
	env          []string
	azure        *azure.Client
	subscription string
}

// cgroup is the one below which the instance's containers run.
const cgroup = "/cloister/figures"

// up starts the instance and signs az in.
func up(ctx context.Context, bin, source string) (i *instance, err error) {
	dir, err := os.MkdirTemp("/var/tmp", "figures") // on a disk: overlay file systems need one
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	i = &instance{bin: bin, dir: dir, env: append(os.Environ(), "CLOISTER_DATA_DIR="+filepath.Join(dir, "data"), "CLOISTER_RUN_DIR="+filepath.Join(dir, "run"),
		"CLOISTER_CGROUP="+cgroup, "CLOISTER_SOURCE_DIR="+source, "HOME="+home)}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.down())
		}
	}()
	// The caches of Go stay where they are, for what has to be built.
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.CommandContext(ctx, "go", "env", name).Output()
		if err != nil {
			return i, err
		}
		i.env = append(i.env, name+"="+strings.TrimSpace(string(out)))
	}
	if _, err := i.run(ctx, "up"); err != nil {
		return i, err
	}
	text, err := i.run(ctx, "env", "--list")
	if err != nil {
		return i, err
	}
	vars := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		vars[name] = value
	}
	i.subscription = vars["ARM_SUBSCRIPTION_ID"]
	i.azure = azure.New(vars["CLOISTER_URL"])
	if err := i.azure.SignIn(ctx, vars["ARM_TENANT_ID"], vars["ARM_CLIENT_ID"], vars["ARM_CLIENT_SECRET"]); err != nil {
		return i, err
	}
	for _, args := range [][]string{
		{"cloud", "register", "-n", "Cloister", "--endpoint-resource-manager", vars["CLOISTER_URL"]}, {"cloud", "set", "-n", "Cloister"},
		{"login", "--service-principal", "-u", vars["ARM_CLIENT_ID"], "-p", vars["ARM_CLIENT_SECRET"], "--tenant", vars["ARM_TENANT_ID"], "-o", "none"},
	} {
		if _, err := i.az(ctx, args...); err != nil {
			return i, fmt.Errorf("az %s failed", args[0]) // the text may have the secret
		}
	}
	return i, nil
}

// down ends the instance and removes all of it.
func (i *instance) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	_, err := i.run(ctx, "down", "--purge")
	return errors.Join(err, os.RemoveAll(i.dir))
}

// command is cloister with the instance's environment.
func (i *instance) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, i.bin, args...)
	cmd.Env = i.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (i *instance) run(ctx context.Context, args ...string) (string, error) {
	cmd := i.command(ctx, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("cloister %s: %w: %s%s", args[0], err, out.String(), errOut.String())
	}
	return out.String(), nil
}

func (i *instance) az(ctx context.Context, args ...string) (string, error) {
	return i.run(ctx, append([]string{"run", "--workstation", "--", "az"}, args...)...)
}

const version = "?api-version=2024-05-01"

func (i *instance) group(name string) string {
	return "/subscriptions/" + i.subscription + "/resourceGroups/" + name
}

// network makes a group with a virtual network, and returns the id of its subnet.
func (i *instance) network(ctx context.Context, group string) (string, error) {
	id := i.group(group)
	if _, err := i.azure.Do(ctx, "PUT", id+version, map[string]any{"location": "eastus"}); err != nil {
		return "", err
	}
	network := id + "/providers/Microsoft.Network/virtualNetworks/vnet"
	_, err := i.azure.Do(ctx, "PUT", network+version, map[string]any{"location": "eastus", "properties": map[string]any{
		"addressSpace": map[string]any{"addressPrefixes": []string{"10.0.0.0/8"}},
		"subnets":      []any{map[string]any{"name": "a", "properties": map[string]any{"addressPrefix": "10.240.0.0/16"}}},
	}})
	return network + "/subnets/a", err
}

// remove deletes a group and waits until it is gone.
func (i *instance) remove(ctx context.Context, group string) error {
	if _, err := i.azure.Do(ctx, "DELETE", i.group(group)+version, nil); err != nil {
		return err
	}
	for {
		if _, err := i.azure.Do(ctx, "GET", i.group(group)+version, nil); err != nil && strings.Contains(err.Error(), "404") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("group %s is still there: %w", group, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cloister.dev/cloister/internal/atomicfile"
	"cloister.dev/cloister/internal/config"
)

// limits are the machine's limits that many nodes on it share; they are raised only, never lowered.
// What a kubelet wants besides of a machine of its own is not set (cmd/cloister-guest).
var limits = []struct {
	name  string
	value int
	why   string
}{
	{"fs/inotify/max_user_instances", 8192, "each kubelet and containerd watches files, all as one user"},
	{"fs/inotify/max_user_watches", 524_288, "each kubelet and containerd watches files, all as one user"},
	{"kernel/keys/root_maxkeys", 1_000_000, "each container has a keyring"},
	{"kernel/keys/root_maxbytes", 25_000_000, "each container has a keyring"},
}

// setting is a kernel setting that gets another value.
type setting struct {
	name     string // path below /proc/sys
	old, new string
	why      string
}

func (s setting) String() string {
	return fmt.Sprintf("%s: %s -> %s (%s)", strings.ReplaceAll(s.name, "/", "."), s.old, s.new, s.why)
}

func kernelFile(c config.Config) string { return filepath.Join(c.DataDir, "kernel.before.json") }

// lowLimits are the limits that have to be raised.
func lowLimits() ([]setting, error) {
	var out []setting
	for _, l := range limits {
		b, err := os.ReadFile("/proc/sys/" + l.name)
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without it
		}
		if err != nil {
			return nil, err
		}
		old := strings.TrimSpace(string(b))
		if n, err := strconv.Atoi(old); err == nil && n >= l.value {
			continue
		}
		out = append(out, setting{l.name, old, strconv.Itoa(l.value), l.why})
	}
	return out, nil
}

// set changes the settings and remembers the values that were there.
func set(c config.Config, settings []setting, say Progress) error {
	before := map[string]string{}
	if b, err := os.ReadFile(kernelFile(c)); err == nil {
		if err := json.Unmarshal(b, &before); err != nil {
			return fmt.Errorf("%s: %w", kernelFile(c), err)
		}
	}
	for _, s := range settings {
		if _, known := before[s.name]; !known {
			before[s.name] = s.old
		}
		b, err := json.Marshal(before)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(kernelFile(c), b, 0o600); err != nil {
			return err
		}
		if err := os.WriteFile("/proc/sys/"+s.name, []byte(s.new), 0o644); err != nil {
			return fmt.Errorf("set %s: %w", s, err)
		}
		say("%s; `cloister down` puts it back", s)
	}
	return nil
}

// restoreKernel puts the values back that setKernel changed.
func restoreKernel(c config.Config, say Progress) error {
	b, err := os.ReadFile(kernelFile(c))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	before := map[string]string{}
	if err := json.Unmarshal(b, &before); err != nil {
		return fmt.Errorf("%s: %w", kernelFile(c), err)
	}
	for name, value := range before {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			return fmt.Errorf("put %s back: %w", name, err)
		}
	}
	say("%d kernel values are as before", len(before))
	return os.Remove(kernelFile(c))
}

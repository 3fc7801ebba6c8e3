package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// deviceRules are what containers may do with devices: make nodes of any, and use those that are no way to the machine: null, zero,
// full, random, urandom, tty, ptmx, pseudo terminals and tun. They are runc's defaults, in the words of
// https://docs.kernel.org/admin-guide/cgroup-v1/devices.html
var deviceRules = []string{
	"b *:* m", "c *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 10:200 rwm", "c 136:* rwm",
}

const (
	devicesV1  = "/sys/fs/cgroup/devices"
	allDevices = "a *:* rwm"
)

// guardDevices has the cgroup that holds all containers allow no more than deviceRules. A node has its own cgroup to write in, for
// its pods, and could allow itself any device there; a cgroup never has what the one above it has not. In
// cgroup v2 rules are programs that a container's own cannot outvote, and there is nothing to do.
func guardDevices(cgroup string) error {
	dir := filepath.Join(devicesV1, cgroup)
	if _, err := os.Stat(filepath.Join(devicesV1, "devices.list")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(dir, "devices.list"))
	if err != nil {
		return err
	}
	have := strings.Split(strings.TrimSpace(string(b)), "\n")
	if slices.Contains(have, allDevices) {
		if err := os.WriteFile(filepath.Join(dir, "devices.deny"), []byte("a"), 0o200); err != nil {
			return fmt.Errorf("devices of %s: containers of an older Cloister run in it; `cloister down`, then `cloister up`: %w", dir, err)
		}
	}
	for _, rule := range have {
		if rule == allDevices || slices.Contains(deviceRules, rule) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "devices.deny"), []byte(rule), 0o200); err != nil {
			return fmt.Errorf("deny %q in %s: %w", rule, dir, err)
		}
	}
	for _, rule := range deviceRules {
		if slices.Contains(have, rule) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "devices.allow"), []byte(rule), 0o200); err != nil {
			return fmt.Errorf("allow %q in %s: %w", rule, dir, err)
		}
	}
	return nil
}

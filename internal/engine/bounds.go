package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/cgroups/v3"

	"cloister.dev/cloister/internal/spec"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	cpuPeriod  = 100_000 // microseconds
	// maxProcesses are those of one node: enough for 250 pods of 128 threads each.
	maxProcesses = 32_768
)

// ownGroup is the cgroup of a workload's process. A node has one inside the workload's: root in
// it writes what it likes in its own, the limits of its pods and its own limits alike, and none above it.
func (e *Engine) ownGroup(want spec.Workload) string {
	if bounded(want.Kind) {
		return e.cgroup(want.Name) + "/own"
	}
	return e.cgroup(want.Name)
}

func bounded(kind spec.Kind) bool { return kind == spec.KindNode || kind == spec.KindMachine }

// bound makes the cgroup around a node's own, with the limits that the node cannot raise.
func (e *Engine) bound(want spec.Workload) error {
	if !bounded(want.Kind) {
		return nil
	}
	text, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return err
	}
	machine, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return err
	}
	// A quarter of the machine's at most, for all share these.
	processes := min(maxProcesses, machine/4)
	if cgroups.Mode() == cgroups.Unified {
		err = boundV2(cgroupRoot, e.cgroup(want.Name), want.Limits, processes)
	} else {
		err = boundV1(cgroupRoot, e.cgroup(want.Name), want.Limits, processes)
	}
	if err != nil {
		return fmt.Errorf("limits of %s: %w", want.Name, err)
	}
	return nil
}

// boundV1 writes a group's limits in the words of https://docs.kernel.org/admin-guide/cgroup-v1/
func boundV1(root, group string, l spec.Limits, processes int64) error {
	type setting struct{ controller, file, value string }
	settings := []setting{{"pids", "pids.max", strconv.FormatInt(processes, 10)}}
	if l.MemoryBytes > 0 {
		settings = append(settings, setting{"memory", "memory.limit_in_bytes", strconv.FormatInt(l.MemoryBytes, 10)})
	}
	if l.MilliCPU > 0 {
		settings = append(settings, setting{"cpu", "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)},
			setting{"cpu", "cpu.cfs_quota_us", strconv.FormatInt(l.MilliCPU*cpuPeriod/1000, 10)})
	}
	for _, s := range settings {
		dir := filepath.Join(root, s.controller, group)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, s.file), []byte(s.value), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// boundV2 does so in the words of https://docs.kernel.org/admin-guide/cgroup-v2.html, where each group
// above has to give the controllers to those below it.
func boundV2(root, group string, l spec.Limits, processes int64) error {
	dir := filepath.Join(root, group)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	above := root
	for _, part := range strings.Split(strings.Trim(group, "/"), "/") {
		for _, controller := range []string{"+cpu", "+memory", "+pids"} {
			if err := os.WriteFile(filepath.Join(above, "cgroup.subtree_control"), []byte(controller), 0o600); err != nil {
				return err
			}
		}
		above = filepath.Join(above, part)
	}
	values := map[string]string{"pids.max": strconv.FormatInt(processes, 10)}
	if l.MemoryBytes > 0 {
		values["memory.max"] = strconv.FormatInt(l.MemoryBytes, 10)
	}
	if l.MilliCPU > 0 {
		values["cpu.max"] = fmt.Sprintf("%d %d", l.MilliCPU*cpuPeriod/1000, cpuPeriod)
	}
	var errs []error
	for file, value := range values {
		errs = append(errs, os.WriteFile(filepath.Join(dir, file), []byte(value), 0o600))
	}
	return errors.Join(errs...)
}

package cluster

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloister.dev/cloister/bench/figure"
	"cloister.dev/cloister/bench/proc"
)

// settle is how long everything is left alone before it is called idle.
const settle = time.Minute

// idle makes a cluster with one node beside the script, leaves both alone, and reads what they use.
func (m *measurement) idle(ctx context.Context) error {
	if m.Idle == 0 {
		return nil
	}
	if err := m.small(ctx, "first"); err != nil { // what it shares with others counts once
		return err
	}
	before := planes()
	if err := m.small(ctx, "more"); err != nil {
		return err
	}
	key := ""
	for _, name := range planes() {
		if !slices.Contains(before, name) {
			key = strings.TrimPrefix(name, planePrefix)
		}
	}
	s, err := startScript(ctx, programs{m.Etcd, m.Kube})
	if err != nil {
		return fmt.Errorf("script: %w", err)
	}
	defer s.stop()
	if err := rest(ctx, settle); err != nil {
		return err
	}
	plane, err := pids(func(group string) bool { return group == planePrefix+key || group == "etcd-"+key })
	if err != nil {
		return err
	}
	all, err := pids(func(group string) bool { return strings.HasPrefix(group, "node-"+key) })
	if err != nil {
		return err
	}
	node, err := pids(func(group string) bool {
		return strings.HasPrefix(group, "node-"+key) && !strings.Contains(group, "/kubepods")
	})
	if err != nil {
		return err
	}
	if len(plane) < 2 || len(node) < 4 {
		return fmt.Errorf("of cluster %s run %d processes in the control plane and %d in the node", key, len(plane), len(node))
	}
	begin := time.Now()
	var used [3]time.Duration
	sets := [3][]int{plane, node, s.pids()}
	for n, set := range sets {
		if used[n], err = proc.CPU(set...); err != nil {
			return err
		}
	}
	if err := rest(ctx, m.Idle); err != nil {
		return err
	}
	var cpu, memory [3]float64
	for n, set := range sets {
		now, err := proc.CPU(set...)
		if err != nil {
			return err
		}
		cpu[n] = 100 * (now - used[n]).Seconds() / time.Since(begin).Seconds()
		bytes, err := proc.PSS(set...)
		if err != nil {
			return err
		}
		memory[n] = float64(bytes) / (1 << 20)
	}
	whole, err := proc.PSS(all...)
	if err != nil {
		return err
	}
	over := "over " + m.Idle.String()
	m.report.Add(figure.Row{Name: "memory of one more control plane with its etcd", Value: memory[0], Unit: "MiB", Peer: "script", Other: memory[2], Reach: figure.Reach{Most: 0.5}, Note: "PSS"})
	m.report.Add(figure.Row{Name: "memory of a node", Value: memory[1], Unit: "MiB", Reach: figure.Reach{MostValue: 150}, Note: fmt.Sprintf("PSS; %d MiB with the pods of the system", whole>>20)})
	m.report.Add(figure.Row{Name: "CPU of an idle control plane", Value: cpu[0], Unit: "% of a core", Peer: "script", Other: cpu[2], Reach: figure.Reach{MostValue: 5}, Note: over})
	m.report.Add(figure.Row{Name: "CPU of an idle node", Value: cpu[1], Unit: "% of a core", Reach: figure.Reach{MostValue: 5}, Note: over + ", without pods"})
	s.stop()
	for _, name := range []string{"first", "more"} {
		if err := m.instance.remove(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// planePrefix begins the names of the groups of control planes.
const planePrefix = "cp-"

// planes are the groups of all control planes of the instance, sorted.
func planes() []string {
	found := map[string]bool{}
	_, _ = pids(func(group string) bool { // without /proc nothing is found
		if strings.HasPrefix(group, planePrefix) {
			found[group] = true
		}
		return false
	})
	return slices.Sorted(maps.Keys(found))
}

// pids are the processes in those groups below the instance's cgroup that take accepts.
func pids(take func(group string) bool) ([]int, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var out []int
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", d.Name(), "cgroup"))
		if err != nil {
			continue // it has ended
		}
		if _, group, ok := strings.Cut(groupOf(string(b)), cgroup+"/"); ok && take(group) {
			out = append(out, pid)
		}
	}
	return out, nil
}

// groupOf reads /proc/<pid>/cgroup: the group that counts processor time is version 1's, where there is one;
// beside it, version 2's says less: https://man7.org/linux/man-pages/man7/cgroups.7.html
func groupOf(text string) string {
	unified := ""
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) < 3:
		case fields[0] == "0":
			unified = fields[2]
		case strings.Contains(","+fields[1]+",", ",cpuacct,"):
			return fields[2]
		}
	}
	return unified
}

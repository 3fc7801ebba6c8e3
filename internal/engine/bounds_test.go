package engine

import (
	"os"
	"path/filepath"
	"testing"

	"cloister.dev/cloister/internal/spec"
)

func TestBounds(t *testing.T) {
	l := spec.Limits{MilliCPU: 1500, MemoryBytes: 2 << 30}
	for _, c := range []struct {
		name  string
		write func(root, group string, l spec.Limits, processes int64) error
		limit spec.Limits
		want  map[string]string
	}{
		{"v1", boundV1, l, map[string]string{
			"memory/a/b/memory.limit_in_bytes": "2147483648", "cpu/a/b/cpu.cfs_quota_us": "150000", "cpu/a/b/cpu.cfs_period_us": "100000", "pids/a/b/pids.max": "77",
		}},
		{"v1, only processes", boundV1, spec.Limits{}, map[string]string{"pids/a/b/pids.max": "77"}},
		{"v2", boundV2, l, map[string]string{
			"a/b/memory.max": "2147483648", "a/b/cpu.max": "150000 100000", "a/b/pids.max": "77",
			"cgroup.subtree_control": "+pids", "a/cgroup.subtree_control": "+pids", // the last of three that are written
		}},
		{"v2, only processes", boundV2, spec.Limits{}, map[string]string{"a/b/pids.max": "77", "cgroup.subtree_control": "+pids", "a/cgroup.subtree_control": "+pids"}},
	} {
		root := t.TempDir()
		if err := c.write(root, "/a/b", c.limit, 77); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		found := map[string]string{}
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			name, _ := filepath.Rel(root, path)
			found[name] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range c.want {
			if found[name] != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, found[name], want)
			}
			delete(found, name)
		}
		for name := range found {
			t.Errorf("%s: %s was written", c.name, name)
		}
	}
}

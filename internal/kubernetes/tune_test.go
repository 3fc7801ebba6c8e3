package kubernetes

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTune(t *testing.T) {
	root := t.TempDir()
	write := func(name, value string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(value+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range kernelDefaults {
		write(name, want)
	}
	write("vm/overcommit_memory", "0")
	write("fs/inotify/max_user_instances", "128")
	write("fs/inotify/max_user_watches", "99999999")
	if tuned(root) {
		t.Error("a setting is wrong, and nobody sees it")
	}
	changed, err := tune(root)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(changed)
	want := []string{"fs.inotify.max_user_instances: 128 -> 8192", "vm.overcommit_memory: 0 -> 1"}
	if !slices.Equal(changed, want) {
		t.Errorf("changed %q, want %q", changed, want)
	}
	if !tuned(root) {
		t.Error("still not tuned")
	}
	if changed, err = tune(root); err != nil || len(changed) > 0 {
		t.Errorf("again: %q, %v", changed, err)
	}
	write("fs/inotify/max_user_instances", "many")
	if _, err = tune(root); err == nil {
		t.Error("a setting that is no number passes")
	}
}

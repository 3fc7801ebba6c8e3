package kubernetes

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTuned(t *testing.T) {
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
	if !tuned(root) {
		t.Error("every setting is as wanted, and is not seen so")
	}
	write("vm/overcommit_memory", "0")
	if tuned(root) {
		t.Error("a setting is wrong, and nobody sees it")
	}
}

func TestDetectHost(t *testing.T) {
	h, err := DetectHost()
	if err != nil {
		t.Fatal(err)
	}
	if h.MilliCPU < 1000 || h.MemoryBytes < 64<<20 {
		t.Errorf("this machine cannot be so small: %+v", h)
	}
}

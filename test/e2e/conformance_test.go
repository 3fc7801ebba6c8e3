package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/images"
	"cloister.dev/cloister/internal/kubernetes"
	"cloister.dev/cloister/test/walk"
)

// TestConformance runs upstream's tests of the API's machinery in a private cluster.
func TestConformance(t *testing.T) {
	// In the ten minutes that this takes others change the host's links and mounts, too.
	if !playHost(t) {
		return
	}
	w := started(t, "conformance")
	c, err := config.Load("", os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	name := "e2e-v" + kubernetes.DefaultVersion()
	built, err := images.Build(t.Context(), images.Options{SourceDir: c.SourceDir, CacheDir: c.CacheDir, Progress: t.Logf}, name)
	if err != nil {
		t.Fatal(err)
	}
	programs, err := filepath.Glob(filepath.Join(built[name].Path, "*"))
	if err != nil || len(programs) != 1 {
		t.Fatalf("%s is not one program: %v %v", name, programs, err)
	}
	w.Nodes = 1
	take(t, w, walk.Conformance(programs[0]))
}

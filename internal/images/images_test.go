package images

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range map[string]string{"go.mod": "module x\n", "in/a.go": "package a\n", "in/a_test.go": "package a\n", "in/README.md": "a"} {
		write(t, filepath.Join(dir, path), text)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// counting is a recipe that counts its builds.
func counting(n *atomic.Int32) recipe {
	return recipe{kind: Programs, inputs: []string{"in"}, build: func(_ context.Context, j *job) error {
		n.Add(1)
		if err := os.MkdirAll(j.out, 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(j.out, "program"), []byte("x"), 0o755)
	}}
}

func newBuilder(src, cache string, all map[string]recipe) *builder {
	return &builder{Options: Options{SourceDir: src, CacheDir: cache, Progress: func(string, ...any) {}}, recipes: all, done: map[string]Artifact{}}
}

func TestBuildOnce(t *testing.T) {
	src, cache := source(t), t.TempDir()
	var n atomic.Int32
	all := map[string]recipe{"a": counting(&n), "b": {kind: Programs, needs: []string{"a"}, build: counting(&n).build}}
	build := func() string {
		t.Helper()
		b, err := newBuilder(src, cache, all).artifact(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		return b.Path
	}
	first := build()
	for _, c := range []struct {
		what, file string
		builds     int32
	}{
		{"nothing changed", "", 2},
		{"a test changed", "in/a_test.go", 2},
		{"a text changed", "in/README.md", 2},
		{"a file beside changed", "other/x.go", 2},
		{"an input changed, so both are other ones", "in/a.go", 4},
	} {
		if c.file != "" {
			write(t, filepath.Join(src, c.file), "changed\n")
		}
		path := build()
		if n.Load() != c.builds || (path == first) != (c.builds == 2) {
			t.Errorf("%s: %d builds, want %d; %s, first %s", c.what, n.Load(), c.builds, path, first)
		}
	}
}

func TestTwoBuilders(t *testing.T) {
	src, cache := source(t), t.TempDir()
	var n atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := newBuilder(src, cache, map[string]recipe{"a": counting(&n)}).artifact(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n.Load() != 1 {
		t.Errorf("%d builds, want 1", n.Load())
	}
}

func TestFailedBuild(t *testing.T) {
	src, cache := source(t), t.TempDir()
	fails := errors.New("out of luck")
	r := recipe{kind: Programs, inputs: []string{"in"}, build: func(_ context.Context, j *job) error {
		write(t, filepath.Join(j.out, "half"), "x")
		return fails
	}}
	if _, err := newBuilder(src, cache, map[string]recipe{"a": r}).artifact(t.Context(), "a"); !errors.Is(err, fails) {
		t.Errorf("error %v", err)
	}
	left, err := os.ReadDir(filepath.Join(cache, "artefacts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if !strings.HasSuffix(e.Name(), ".lock") {
			t.Errorf("left: %s", e.Name())
		}
	}
}

func TestOldBuildsGo(t *testing.T) {
	src, cache := source(t), t.TempDir()
	var n atomic.Int32
	var last string
	for _, text := range []string{"1", "2", "3", "4"} {
		write(t, filepath.Join(src, "in/a.go"), text)
		a, err := newBuilder(src, cache, map[string]recipe{"a": counting(&n)}).artifact(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		last = a.Path
	}
	left, err := filepath.Glob(filepath.Join(cache, "artefacts", "a-*"))
	if err != nil || len(left) != 2 || !slices.Contains(left, last) {
		t.Errorf("left: %v, %v; want the last and the one before", left, err)
	}
}

func TestNoSource(t *testing.T) {
	src, cache := source(t), t.TempDir()
	var n atomic.Int32
	all := map[string]recipe{"a": counting(&n)}
	if _, err := newBuilder("", cache, all).artifact(t.Context(), "a"); !errors.Is(err, ErrNoSource) {
		t.Errorf("error %v", err)
	}
	want, err := newBuilder(src, cache, all).artifact(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newBuilder("", cache, all).artifact(t.Context(), "a"); err != nil || got != want {
		t.Errorf("%+v, %v; want the one that was built: %+v", got, err, want)
	}
}

func TestKilledBuilder(t *testing.T) {
	src, cache := source(t), t.TempDir()
	left := filepath.Join(cache, "artefacts", ".build-a-123", "out")
	other := filepath.Join(cache, "artefacts", ".build-a-b-123", "out")
	write(t, filepath.Join(left, "x"), "x")
	write(t, filepath.Join(other, "x"), "x")
	var n atomic.Int32
	if _, err := newBuilder(src, cache, map[string]recipe{"a": counting(&n)}).artifact(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed builder left is still there")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("what a builder of something else is at is gone")
	}
}

func TestLockGivesUp(t *testing.T) {
	src, cache := source(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var n atomic.Int32
	slow := counting(&n)
	slow.build = func(ctx context.Context, j *job) error {
		b := newBuilder(src, cache, map[string]recipe{"a": counting(&n)})
		b.Progress = func(string, ...any) { cancel() } // it waits
		if _, err := b.artifact(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		return os.MkdirAll(j.out, 0o755)
	}
	if _, err := newBuilder(src, cache, map[string]recipe{"a": slow}).artifact(ctx, "a"); err != nil {
		t.Error(err)
	}
}

func TestUnknown(t *testing.T) {
	if _, err := Build(t.Context(), Options{SourceDir: source(t), CacheDir: t.TempDir()}, "nonsense"); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("error %v, want one that lists what there is", err)
	}
}

// Every recipe's inputs are in the tree, and every need is a recipe.
func TestRecipes(t *testing.T) {
	all := recipes()
	for n, r := range all {
		for _, in := range r.inputs {
			if _, err := os.Stat(filepath.Join("../..", in)); err != nil {
				t.Errorf("%s: %v", n, err)
			}
		}
		for _, need := range r.needs {
			if _, ok := all[need]; !ok {
				t.Errorf("%s needs %s, which there is not", n, need)
			}
		}
	}
}

func TestImage(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "hello"), "program")
	j := &job{tmp: dir, out: filepath.Join(dir, "image.tar"), ref: "cloister.internal/hello:1"}
	if err := j.image([]string{"/hello"}, content{target: "/hello", source: filepath.Join(dir, "hello")}); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(j.ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(j.out, &tag)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture == "" || !slices.Equal(config.Config.Entrypoint, []string{"/hello"}) {
		t.Errorf("configuration %+v", config)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]int64{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		modes[h.Name] = h.Mode
	}
	if modes["hello"] != 0o755 || modes["tmp/"] != 0o1777 {
		t.Errorf("entries %v", modes)
	}
}

func TestNewEnough(t *testing.T) {
	for version, want := range map[string]bool{"go1.26.8": true, "go1.26": true, "go1.27rc1": true, "devel go1.28-1a2b3c": true, "go1.25.9": false, "go1.3": false, "": false, "gcc": false} {
		if newEnough(version) != want {
			t.Errorf("%q: want %t", version, want)
		}
	}
}

func TestFreeSpaceOfFolderToBe(t *testing.T) {
	dir := t.TempDir()
	free, at, err := freeSpace(filepath.Join(dir, "not", "yet"))
	if err != nil || at != dir || free == 0 {
		t.Errorf("%d at %s, %v", free, at, err)
	}
}

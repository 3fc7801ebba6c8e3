package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// recipe is how one artefact is made.
type recipe struct {
	kind    Kind
	version int      // goes up when build changes in a way that inputs do not show
	inputs  []string // files and folders of the source tree that go into it
	facts   []string // what else decides it: packages, flags
	needs   []string // other artefacts that go into it
	hint    string   // for people: how long it takes
	build   func(ctx context.Context, j *job) error
}

// job is one build: out is what to make, a file or a folder; tmp is for anything else.
type job struct {
	source, tmp, out, ref string
	needs                 map[string]Artifact
}

// key names the content: of the inputs, the facts, the needs' keys and the toolchain.
func (r recipe) key(source string, needs map[string]Artifact) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, r.kind, r.version, runtime.GOARCH, r.facts)
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		fmt.Fprintln(h, name, needs[name].Key)
	}
	for _, in := range r.inputs {
		if err := hashTree(h, source, in); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:keyLength], nil
}

func hashTree(h hash.Hash, source, in string) error {
	return filepath.WalkDir(filepath.Join(source, in), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "testdata" || strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".md") {
			return nil
		}
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, filepath.ToSlash(rel), st.Size())
		_, err = io.Copy(h, f)
		return err
	})
}

// run runs a program and returns the end of what it printed with its error. When
// ctx ends, the program and its children are asked to end: mmdebstrap has to clean up.
func run(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		text := strings.TrimSpace(string(out))
		if len(text) > 4000 {
			text = "…" + text[len(text)-4000:]
		}
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return nil
}

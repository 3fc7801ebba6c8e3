// Package images builds what Cloister runs: programs from Go modules, images and
// root file systems. Every artefact is named by the content that it was made of,
// so a second build does nothing.
package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Kind says what an artefact's path is.
type Kind string

// The kinds of artefact.
const (
	Programs Kind = "programs" // a folder of programs
	Image    Kind = "image"    // an archive of one image, which containerd imports under Artifact.Ref
	Tree     Kind = "tree"     // a folder with a root file system in it
)

// Artifact is one thing that was built.
type Artifact struct {
	Name string
	Kind Kind
	Path string
	Key  string // of its content, 16 hex digits
	Ref  string // of an image: cloister.internal/<name>:<key>
}

// Options say where to build.
type Options struct {
	SourceDir string // Cloister's source tree
	CacheDir  string
	Progress  func(format string, args ...any) // called when a step begins that takes time; may be nil
}

// ErrNoSource says that something has to be built, and there is no source tree to build it from.
var ErrNoSource = errors.New("not built yet, and there is no source tree to build it from: set sourceDir")

// Build builds the named artefacts and what they need, and returns them by name.
// Two builders at once wait for each other. A build that fails leaves nothing.
func Build(ctx context.Context, o Options, names ...string) (map[string]Artifact, error) {
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	b := &builder{Options: o, recipes: recipes(), done: map[string]Artifact{}}
	for _, name := range names {
		if _, err := b.artifact(ctx, name); err != nil {
			return nil, err
		}
	}
	return b.done, nil
}

// Unbuilt lists what Build would have to build for the named artefacts, in its order. It changes nothing.
func Unbuilt(ctx context.Context, o Options, names ...string) ([]Artifact, error) {
	b := &builder{Options: o, recipes: recipes(), done: map[string]Artifact{}, look: true}
	for _, name := range names {
		if _, err := b.artifact(ctx, name); err != nil {
			return nil, err
		}
	}
	return b.unbuilt, nil
}

// Names lists what can be built.
func Names() []string {
	var out []string
	for name := range recipes() {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// keyLength is that of Artifact.Key.
const keyLength = 16

type builder struct {
	Options
	recipes map[string]recipe
	done    map[string]Artifact
	look    bool // build nothing, and list in unbuilt what is not there
	unbuilt []Artifact
}

func (b *builder) artifact(ctx context.Context, name string) (Artifact, error) {
	if a, ok := b.done[name]; ok {
		return a, nil
	}
	r, ok := b.recipes[name]
	if !ok {
		return Artifact{}, fmt.Errorf("no artefact is called %q; there are %s", name, strings.Join(Names(), ", "))
	}
	if _, err := os.Stat(filepath.Join(b.SourceDir, "go.mod")); b.SourceDir == "" || err != nil {
		return b.ready(name, r)
	}
	needs := map[string]Artifact{}
	for _, n := range r.needs {
		a, err := b.artifact(ctx, n)
		if err != nil {
			return Artifact{}, err
		}
		needs[n] = a
	}
	key, err := r.key(b.SourceDir, needs)
	if err != nil {
		return Artifact{}, fmt.Errorf("%s: %w", name, err)
	}
	a := b.named(name, r, key)
	if b.look {
		if _, err := os.Stat(a.Path); errors.Is(err, fs.ErrNotExist) {
			b.unbuilt = append(b.unbuilt, a)
		} else if err != nil {
			return Artifact{}, err
		}
	} else if err := b.make(ctx, r, a, needs); err != nil {
		return Artifact{}, fmt.Errorf("build %s: %w", name, err)
	}
	b.done[name] = a
	return a, nil
}

func (b *builder) named(name string, r recipe, key string) Artifact {
	a := Artifact{Name: name, Kind: r.kind, Key: key, Path: filepath.Join(b.CacheDir, "artefacts", name+"-"+key)}
	if r.kind == Image {
		a.Ref = "cloister.internal/" + name + ":" + key
	}
	return a
}

// ready is the artefact that was built last: without a source tree nobody can say which one is wanted.
func (b *builder) ready(name string, r recipe) (Artifact, error) {
	found, err := b.builds(name)
	if err != nil {
		return Artifact{}, err
	}
	if len(found) == 0 {
		return Artifact{}, fmt.Errorf("%s: %w", name, ErrNoSource)
	}
	a := b.named(name, r, found[0][len(found[0])-keyLength:])
	b.done[name] = a
	return a, nil
}

// builds lists the paths of an artefact's builds, the newest first.
func (b *builder) builds(name string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(b.CacheDir, "artefacts", name+"-"+strings.Repeat("[0-9a-f]", keyLength)))
	if err != nil {
		return nil, err
	}
	age := func(path string) int64 {
		st, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return st.ModTime().UnixNano()
	}
	slices.SortFunc(found, func(x, y string) int { return cmp.Compare(age(y), age(x)) })
	return found, nil
}

// make builds into a folder beside and renames it: the path is there whole or not at all.
func (b *builder) make(ctx context.Context, r recipe, a Artifact, needs map[string]Artifact) error {
	if _, err := os.Stat(a.Path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(a.Path), 0o755); err != nil {
		return err
	}
	unlock, err := b.lock(ctx, a)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(a.Path); !errors.Is(err, fs.ErrNotExist) {
		return err // another builder made it meanwhile
	}
	if err := b.sweep(a); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(a.Path), ".build-"+a.Name+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	b.Progress("building %s%s", a.Name, r.hint)
	out := filepath.Join(tmp, "out")
	if err := r.build(ctx, &job{source: b.SourceDir, tmp: tmp, out: out, ref: a.Ref, needs: needs}); err != nil {
		return err
	}
	if err := os.Rename(out, a.Path); err != nil {
		return err
	}
	return b.prune(a)
}

// prune removes older builds of the same artefact but the last one: a tree that is switched back and forth stays fast.
func (b *builder) prune(a Artifact) error {
	found, err := b.builds(a.Name)
	if err != nil || len(found) <= 2 {
		return err
	}
	for _, old := range found[2:] {
		if old != a.Path {
			if err := os.RemoveAll(old); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep removes what a builder of the artefact left that was killed. The lock is held: none is at work.
func (b *builder) sweep(a Artifact) error {
	found, err := filepath.Glob(filepath.Join(filepath.Dir(a.Path), ".build-"+a.Name+"-[0-9]*"))
	if err != nil {
		return err
	}
	for _, old := range found {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	return nil
}

// lock waits until nobody else builds the artefact.
func (b *builder) lock(ctx context.Context, a Artifact) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(filepath.Dir(a.Path), "."+a.Name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for said := false; ; said = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		if !said {
			b.Progress("waiting for another build of %s", a.Name)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-tick.C:
		}
	}
}

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister.dev/cloister/internal/atomicfile"
	"cloister.dev/cloister/internal/spec"
)

// mounts makes the volumes of a workload, and lists its mounts.
func (e *Engine) mounts(want spec.Workload, files map[string][]byte) ([]specs.Mount, error) {
	var out []specs.Mount
	for _, m := range want.Mounts {
		source := m.Host
		if m.Volume != "" {
			if !fs.ValidPath(m.Volume) || strings.Contains(m.Volume, "/") {
				return nil, fmt.Errorf("volume %q: not a plain name", m.Volume)
			}
			source = filepath.Join(e.DataDir, "volumes", m.Volume)
			if err := os.MkdirAll(source, 0o700); err != nil {
				return nil, err
			}
		}
		opts := []string{"rbind", "rw"}
		if m.ReadOnly {
			opts[1] = "ro"
		}
		if m.Propagation != "" {
			opts = append(opts, m.Propagation)
		}
		out = append(out, specs.Mount{Destination: m.Target, Source: source, Type: "bind", Options: opts})
	}
	live := map[string]bool{}
	for target := range files {
		if dir := path.Dir(path.Clean(target)); want.Files[target].Live {
			if !live[dir] {
				out = append(out, specs.Mount{Destination: dir, Source: e.file(want.Name, dir), Type: "bind", Options: []string{"bind", "ro", "nosuid", "nodev"}})
			}
			live[dir] = true
			continue
		}
		out = append(out, specs.Mount{Destination: target, Source: e.file(want.Name, target), Type: "bind", Options: []string{"bind", "ro", "nosuid", "nodev"}})
	}
	// Outer mounts come before what is mounted in them.
	slices.SortFunc(out, func(a, b specs.Mount) int { return strings.Compare(a.Destination, b.Destination) })
	return out, nil
}

// file is where a rendered file lies: its path in one name, escaped as in a URL,
// so that two paths never share a name.
func (e *Engine) file(name, target string) string {
	return filepath.Join(e.filesDir(name), url.PathEscape(strings.TrimPrefix(path.Clean(target), "/")))
}

// render writes the files of a workload. They lie in the run directory, which a
// restart of the machine empties: so this comes before every start.
func (e *Engine) render(want spec.Workload, files map[string][]byte) error {
	dir := e.filesDir(want.Name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if len(files) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for target, text := range files {
		to := e.file(want.Name, target)
		if want.Files[target].Live {
			to = e.liveFile(want.Name, target)
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
		}
		if err := atomicfile.Write(to, text, modeOf(want.Files[target])); err != nil {
			return err
		}
	}
	return nil
}

func modeOf(f spec.File) os.FileMode {
	switch {
	case f.Mode != 0:
		return os.FileMode(f.Mode)
	case f.Secret != "":
		return 0o600
	}
	return 0o644
}

// liveFile is where a live file lies: in a folder that is mounted as a whole,
// because a file that is mounted alone stays what it was when another takes its name.
func (e *Engine) liveFile(name, target string) string {
	dir, base := path.Split(path.Clean(target))
	return filepath.Join(e.file(name, dir), base)
}

// refresh brings the live files of what was rendered before to their new content.
func (e *Engine) refresh(want spec.Workload, files map[string][]byte) error {
	for _, target := range slices.Sorted(maps.Keys(files)) {
		if !want.Files[target].Live {
			continue
		}
		to := e.liveFile(want.Name, target)
		have, err := os.ReadFile(to)
		if errors.Is(err, fs.ErrNotExist) || err == nil && bytes.Equal(have, files[target]) {
			continue // a start renders it
		}
		if err != nil {
			return err
		}
		if err := atomicfile.Write(to, files[target], modeOf(want.Files[target])); err != nil {
			return err
		}
	}
	return nil
}

func volumesOf(want spec.Workload) []string {
	var out []string
	for _, m := range want.Mounts {
		if m.Volume != "" {
			out = append(out, m.Volume)
		}
	}
	return out
}

// removeVolumes removes those of the volumes that no other container has.
func (e *Engine) removeVolumes(ctx context.Context, name string, volumes []string) error {
	containers, err := e.client.Containers(ctx)
	if err != nil {
		return err
	}
	used := map[string]bool{"": true}
	for _, c := range containers {
		if c.ID() == name {
			continue
		}
		labels, err := c.Labels(ctx)
		if err != nil {
			return err
		}
		for _, v := range strings.Split(labels[labelVolumes], ",") {
			used[v] = true
		}
	}
	for _, v := range volumes {
		if !used[v] {
			if err := os.RemoveAll(filepath.Join(e.DataDir, "volumes", v)); err != nil {
				return err
			}
		}
	}
	return nil
}

package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// install copies programs into the engine's own folder, and returns their paths
// there. Running containers name the programs that end them; the cache that
// programs come from may be cleared at any time.
func install(dataDir string, programs ...string) ([]string, error) {
	dir := filepath.Join(dataDir, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var out []string
	for _, from := range programs {
		to := filepath.Join(dir, filepath.Base(from))
		if err := installOne(to, from); err != nil {
			return nil, fmt.Errorf("install %s: %w", from, err)
		}
		out = append(out, to)
	}
	return out, nil
}

// installOne does nothing if the copy has the size and the time of the original.
// The copy is put in place at once: one that runs keeps its old content.
func installOne(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	want, err := in.Stat()
	if err != nil {
		return err
	}
	if got, err := os.Stat(to); err == nil && got.Size() == want.Size() && got.ModTime().Equal(want.ModTime()) {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(to), ".install-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = io.Copy(tmp, in)
	if err = errors.Join(err, tmp.Chmod(0o755), tmp.Close()); err != nil {
		return err
	}
	if err = os.Chtimes(tmp.Name(), want.ModTime(), want.ModTime()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), to)
}

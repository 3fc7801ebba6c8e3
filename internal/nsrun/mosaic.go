package nsrun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// place is where something will be laid: a path without a slash at its begin.
type place struct {
	path string
	dir  bool
}

// mosaic makes a root in memory that shows the folders of root, with a place for each of the binds. It is what a
// caller who is not root has in place of a layer: in their user namespace nobody owns root's files, and so nothing
// can be made beside them. Where a place is missing, the folders above it are made anew from what is in them.
// It returns the new root's path.
func mosaic(root string, binds []Bind) (string, error) {
	var places []place
	for _, b := range binds {
		st, err := os.Stat(b.Source)
		if err != nil {
			return "", err
		}
		if path := strings.TrimPrefix(filepath.Clean(b.Target), "/"); path != "" {
			places = append(places, place{path, st.IsDir()})
		}
	}
	memory := filepath.Join(root, "tmp") // a folder of every root
	if err := unix.Mount("tmpfs", memory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return "", fmt.Errorf("mount a root of one's own: %w", err)
	}
	top := filepath.Join(memory, "root")
	if err := os.Mkdir(top, 0o755); err != nil {
		return "", err
	}
	return top, tile(root, top, places, true)
}

// fresh are folders at the top whose content is never the root's.
var fresh = []string{"dev", "proc", "run", "sys", "tmp"}

// tile fills the new folder with what is in the old one, and makes the places below it.
func tile(old, made string, places []place, top bool) error {
	below := map[string][]place{}
	for _, p := range places {
		first, rest, _ := strings.Cut(p.path, "/")
		below[first] = append(below[first], place{rest, p.dir})
	}
	entries, err := os.ReadDir(old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(old, e.Name()), filepath.Join(made, e.Name())
		if top && slices.Contains(fresh, e.Name()) {
			continue
		}
		if missing := slices.ContainsFunc(below[e.Name()], func(p place) bool {
			_, err := os.Stat(filepath.Join(from, p.path))
			return err != nil
		}); missing && e.IsDir() {
			continue
		}
		delete(below, e.Name())
		if err := same(e, from, to); err != nil {
			return fmt.Errorf("show %s: %w", from, err)
		}
	}
	if top {
		for _, name := range fresh {
			if err := os.MkdirAll(filepath.Join(made, name), 0o755); err != nil {
				return err
			}
		}
	}
	for name, rest := range below {
		to := filepath.Join(made, name)
		if len(rest) == 1 && rest[0].path == "" && !rest[0].dir {
			if err := os.WriteFile(to, nil, 0o644); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		rest = slices.DeleteFunc(rest, func(p place) bool { return p.path == "" })
		if err := tile(filepath.Join(old, name), to, rest, false); err != nil {
			return err
		}
	}
	return nil
}

// same shows an entry of the old folder in the new one.
func same(e fs.DirEntry, from, to string) error {
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case e.IsDir():
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
	case e.Type().IsRegular():
		if err := os.WriteFile(to, nil, 0o644); err != nil {
			return err
		}
	default:
		return nil // devices and sockets are of no use in another root
	}
	return unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, "")
}

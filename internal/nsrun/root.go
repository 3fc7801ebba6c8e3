package nsrun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// enterRoot lays a layer over RootFS, mounts what every program expects, and makes it the root. With own,
// in a user namespace, the kernel's file systems are those outside.
func enterRoot(o Options, own bool) error {
	outside, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Programs of the image and of the machine share /tmp and the devices, among them the terminal.
	binds := append([]Bind{{Source: "/tmp", Target: "/tmp"}, {Source: "/dev", Target: "/dev"}}, o.Binds...)
	if own {
		o.RootFS, err = mosaic(o.RootFS, binds)
	} else {
		err = layer(o.RootFS)
	}
	if err != nil {
		return err
	}
	if err := system(o.RootFS, own); err != nil {
		return err
	}
	for _, b := range binds {
		if err := bind(o.RootFS, b); err != nil {
			return fmt.Errorf("bind %s: %w", b.Source, err)
		}
	}
	if err := unix.Chroot(o.RootFS); err != nil {
		return fmt.Errorf("change the root to %s: %w", o.RootFS, err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := ensureFile("/etc/resolv.conf"); err != nil {
		return err
	}
	if !o.Resolver.IsValid() {
		return overlay("/etc/resolv.conf", string(outside))
	}
	return setResolver(o)
}

// system mounts the kernel's file systems. That of /sys shows the network namespace that the program is in.
func system(root string, own bool) error {
	const plain = unix.MS_NOSUID | unix.MS_NODEV
	for _, m := range []struct {
		typ, target, data string
		flags             uintptr
	}{
		{"proc", "proc", "", plain | unix.MS_NOEXEC}, {"sysfs", "sys", "", plain | unix.MS_NOEXEC | unix.MS_RDONLY}, {"tmpfs", "run", "mode=755", plain},
	} {
		target, err := inside(root, m.target, true)
		if err != nil {
			return err
		}
		if own && m.typ != "tmpfs" {
			// Only who owns the process and network namespaces may mount these anew.
			err = unix.Mount("/"+m.target, target, "", unix.MS_BIND|unix.MS_REC, "")
		} else {
			err = unix.Mount(m.typ, target, m.typ, m.flags, m.data)
		}
		if err != nil {
			return fmt.Errorf("mount /%s: %w", m.target, err)
		}
	}
	return nil
}

// layer lays a folder in memory over root, so that what is written there is gone at the end and several
// programs can use the same root. It is mounted in this namespace only.
func layer(root string) error {
	back, err := os.Getwd()
	if err != nil {
		return err
	}
	// Relative paths: commas and colons in the root's name would be read as options.
	if err := os.Chdir(root); err != nil {
		return err
	}
	const scratch = "tmp" // a folder of every root; it is covered anyway
	if err := unix.Mount("tmpfs", scratch, "tmpfs", unix.MS_NOSUID, "mode=700"); err != nil {
		return fmt.Errorf("mount a layer over %s: %w", root, err)
	}
	for _, dir := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(scratch, dir), 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", root, "overlay", 0, "lowerdir=.,upperdir=tmp/upper,workdir=tmp/work"); err != nil {
		return fmt.Errorf("mount a layer over %s: %w", root, err)
	}
	return os.Chdir(back)
}

// bind lays the source over the target in root, which is made if it is not there.
func bind(root string, b Bind) error {
	if filepath.Clean(b.Target) == "/" {
		return nil
	}
	source, err := filepath.EvalSymlinks(b.Source)
	if err != nil {
		return err
	}
	st, err := os.Stat(source)
	if err != nil {
		return err
	}
	target, err := inside(root, b.Target, st.IsDir())
	if err != nil {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if b.ReadOnly {
		// In a user namespace the restrictions that are there may not be lifted.
		var st unix.Statfs_t
		if err := unix.Statfs(target, &st); err != nil {
			return err
		}
		const kept = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME // the bits of statfs(2) and mount(2) are the same
		return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|uintptr(st.Flags)&kept, "")
	}
	return nil
}

// inside makes a folder or an empty file in root, following links as they would be followed from within.
func inside(root, path string, dir bool) (string, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }()
	path = strings.TrimPrefix(filepath.Clean(path), "/")
	parent := filepath.Dir(path)
	if dir {
		parent = path
	}
	if err := r.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	if !dir {
		f, err := r.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
		if err != nil {
			return "", err
		}
		if err := f.Close(); err != nil {
			return "", err
		}
	}
	return filepath.Join(root, path), nil
}

// ensureFile makes an empty file where there is none, or only a link that leads to nothing.
func ensureFile(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, nil, 0o644)
}

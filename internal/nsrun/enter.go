package nsrun

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// EnterIfAsked is the second half of Run, in the child: it prepares the mount
// namespace and becomes the command. It returns at once in any other process.
func EnterIfAsked() {
	if len(os.Args) == 0 || os.Args[0] != marker {
		return
	}
	err := enter()
	fmt.Fprintln(os.Stderr, "cloister run:", err)
	code := 126
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		code = 127
	}
	os.Exit(code)
}

func enter() error {
	var o Options
	pipe := os.NewFile(3, "options")
	b, err := io.ReadAll(io.LimitReader(pipe, 4<<20))
	if err != nil {
		return err
	}
	if err := pipe.Close(); err != nil {
		return err
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	if o.RootFS != "" {
		// A mount point of its own, so that what is mounted in it goes with this namespace.
		if err := unix.Mount(o.RootFS, o.RootFS, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	if err := resolver(o); err != nil {
		return err
	}
	if o.RootFS != "" {
		if err := enterRoot(o); err != nil {
			return err
		}
	}
	if o.Dir != "" {
		if err := os.Chdir(o.Dir); err != nil {
			return err
		}
	}
	for _, kv := range o.Env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			if err := os.Setenv("PATH", path); err != nil {
				return err
			}
		}
	}
	path, err := exec.LookPath(o.Args[0])
	if err != nil {
		return err
	}
	return unix.Exec(path, o.Args, o.Env)
}

// hidden are the sockets by which programs ask a resolver of the host: with them
// a name would be looked up outside the network.
var hidden = []string{"/run/nscd", "/run/systemd/resolve", "/run/avahi-daemon", "/run/dbus", "/run/sssd", "/var/lib/sss/pipes"}

// resolver makes o.Resolver the only one. Files are laid over by mounts, so that
// the machine's own are not touched.
func resolver(o Options) error {
	if !o.Resolver.IsValid() {
		if o.RootFS == "" {
			return nil
		}
		return overlay("/etc/resolv.conf", o.RootFS+"/etc/resolv.conf")
	}
	conf, err := scratch("nameserver " + o.Resolver.String() + "\noptions timeout:2 attempts:2\n")
	if err != nil {
		return err
	}
	if err := overlay(conf, o.RootFS+"/etc/resolv.conf"); err != nil {
		return err
	}
	switches, err := scratch("passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n")
	if err != nil {
		return err
	}
	if _, err := os.Stat(o.RootFS + "/etc/nsswitch.conf"); err == nil {
		if err := overlay(switches, o.RootFS+"/etc/nsswitch.conf"); err != nil {
			return err
		}
	}
	for _, dir := range hidden {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=4k"); err != nil {
				return fmt.Errorf("hide %s: %w", dir, err)
			}
		}
	}
	return nil
}

// scratch writes a file that is removed as soon as it is laid over another one.
func scratch(text string) (string, error) {
	f, err := os.CreateTemp("", ".cloister-run-*")
	if err != nil {
		return "", err
	}
	if _, err := f.WriteString(text); err != nil {
		return "", err
	}
	if err := f.Chmod(0o644); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// overlay lays the file source over target. A symbolic link is followed: what it leads to is what programs read.
func overlay(source, target string) error {
	real, err := filepath.EvalSymlinks(target)
	if err != nil {
		return err
	}
	if err := unix.Mount(source, real, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("lay a file over %s: %w", target, err)
	}
	if strings.HasPrefix(filepath.Base(source), ".cloister-run-") {
		return os.Remove(source) // the mount holds it
	}
	return nil
}

// enterRoot mounts what every program expects and makes RootFS the root.
func enterRoot(o Options) error {
	for _, m := range []struct{ source, target, typ, data string }{{"proc", "/proc", "proc", ""}, {"tmpfs", "/tmp", "tmpfs", "mode=1777"}, {"tmpfs", "/run", "tmpfs", "mode=755"}} {
		if m.target == "/tmp" {
			// /tmp is the machine's own: files that two commands share stay shared.
			if err := unix.Mount("/tmp", o.RootFS+"/tmp", "", unix.MS_BIND, ""); err != nil {
				return err
			}
			continue
		}
		if err := unix.Mount(m.source, o.RootFS+m.target, m.typ, unix.MS_NOSUID|unix.MS_NODEV, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := unix.Mount("/dev", o.RootFS+"/dev", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	for _, b := range o.Binds {
		target := filepath.Join(o.RootFS, b.Target)
		// A file is laid over one that is there; a folder is made if need be.
		if st, err := os.Stat(b.Source); err != nil {
			return err
		} else if st.IsDir() {
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
		}
		if err := unix.Mount(b.Source, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", b.Source, err)
		}
		if b.ReadOnly {
			if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				return err
			}
		}
	}
	if err := unix.Chroot(o.RootFS); err != nil {
		return err
	}
	return os.Chdir("/")
}

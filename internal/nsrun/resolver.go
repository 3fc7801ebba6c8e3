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

// hidden are the sockets by which programs ask a resolver of the machine: with them
// a name would be looked up outside the network.
var hidden = []string{"/run/nscd", "/run/systemd/resolve", "/run/avahi-daemon", "/run/dbus"}

// setResolver makes o.Resolver the only one. Files are laid over by mounts, so that
// the machine's own are not touched.
func setResolver(o Options) error {
	conf := "nameserver " + o.Resolver.String() + "\noptions timeout:2 attempts:2\n"
	if len(o.Search) > 0 {
		conf = "search " + strings.Join(o.Search, " ") + "\n" + conf
	}
	if err := overlay("/etc/resolv.conf", conf); err != nil {
		return err
	}
	switches, err := os.ReadFile("/etc/nsswitch.conf")
	if err == nil {
		err = overlay("/etc/nsswitch.conf", onlyDNS(string(switches)))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
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

// onlyDNS leaves of the services that look hosts up those that ask nobody else.
func onlyDNS(nsswitch string) string {
	lines := strings.Split(nsswitch, "\n")
	for i, line := range lines {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "hosts:")
		if !ok {
			continue
		}
		services := "files dns"
		if slices.Contains(strings.Fields(rest), "myhostname") {
			services = "files myhostname dns"
		}
		lines[i] = "hosts: " + services
	}
	return strings.Join(lines, "\n")
}

// scratch is a folder for files that are gone as soon as they are laid over others. TMPDIR may name
// one that is not there in another root.
func scratch() string {
	if st, err := os.Stat("/run"); err == nil && st.IsDir() {
		return "/run"
	}
	return "/tmp"
}

// overlay lays a file with the text over target. A symbolic link is followed: what it leads to is what programs read.
func overlay(target, text string) error {
	place, err := filepath.EvalSymlinks(target)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there, or leads to nothing: make one, an empty file will do (%w)", target, err)
	}
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(scratch(), ".cloister-run-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // the mount holds it
	if _, err := f.WriteString(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	if err := unix.Mount(f.Name(), place, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("lay a file over %s: %w", target, err)
	}
	return nil
}

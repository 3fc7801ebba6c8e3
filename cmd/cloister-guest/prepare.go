package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const cgroups = "/sys/fs/cgroup"

// prepare makes the container a place in which a kubelet feels at home. It can be repeated.
func prepare() error {
	// Volumes that pods mount have to be seen by the kubelet and by other pods.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	if err := settle("/proc/sys", "/run/kernel"); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	id := sha256.Sum256([]byte(host))
	for path, text := range map[string]string{
		"/etc/hosts":       "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
		"/etc/resolv.conf": "",
		"/etc/machine-id":  hex.EncodeToString(id[:16]) + "\n",
	} {
		if err := fill(path, text); err != nil {
			return err
		}
	}
	if err := name("/etc/hosts", host); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(cgroups, &st); err != nil {
		return fmt.Errorf("cgroups: %w", err)
	}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		return leaf(cgroups)
	}
	return nil
}

// fill writes a file that is empty or missing; what the engine put there stays.
func fill(path, text string) error {
	if st, err := os.Stat(path); err == nil && st.Size() > 0 {
		return nil
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil && !errors.Is(err, unix.EROFS) {
		return err
	}
	return nil
}

// name makes the node's own name resolve, if it does not.
func name(hosts, host string) error {
	b, err := os.ReadFile(hosts)
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(string(b)), host) {
		return nil
	}
	f, err := os.OpenFile(hosts, os.O_APPEND|os.O_WRONLY, 0)
	if errors.Is(err, unix.EROFS) {
		return nil // the engine's, as wanted
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "127.0.1.1\t%s\n", host)
	return errors.Join(err, f.Close())
}

// leaf moves every process of the node's own group into a group below it, and
// gives the groups below all controllers: version 2 does not let one group hold both
// processes and groups with controllers.
// https://docs.kernel.org/admin-guide/cgroup-v2.html#no-internal-process-constraint
func leaf(root string) error {
	group := filepath.Join(root, "init")
	if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	processes, err := os.ReadFile(filepath.Join(root, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, pid := range strings.Fields(string(processes)) {
		// 0 is a process of another PID namespace, which cannot be named and is not ours.
		if n, err := strconv.Atoi(pid); err != nil || n == 0 {
			continue
		}
		err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(pid), 0)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("move process %s: %w", pid, err)
		}
	}
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, c := range strings.Fields(string(controllers)) {
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+c), 0); err != nil {
			return fmt.Errorf("hand controller %s down: %w", c, err)
		}
	}
	return nil
}

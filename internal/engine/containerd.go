package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cloister.dev/cloister/internal/atomicfile"
)

// Socket is where Cloister's containerd listens.
func Socket(runDir string) string { return filepath.Join(runDir, "containerd", "containerd.sock") }

// rootDir holds what lasts of containerd, stateDir what is gone after a reboot.
func rootDir(dataDir string) string { return filepath.Join(dataDir, "containerd") }
func stateDir(runDir string) string { return filepath.Join(runDir, "containerd", "state") }

func pidFile(runDir string) string { return filepath.Join(runDir, "containerd", "containerd.pid") }

// config is containerd without the parts for Kubernetes: nodes have their own.
const config = `version = 3
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs"]

[grpc]
  address = %q
  uid = 0
  gid = 0

[ttrpc]
  address = %q
`

// StartContainerd makes sure that Cloister's containerd runs, in a session of
// its own so that it outlives the daemon. programs holds containerd and its
// shim; they are copied to the data directory.
func StartContainerd(ctx context.Context, dataDir, runDir, programs string) error {
	if Answers(runDir) {
		return nil
	}
	state := filepath.Join(runDir, "containerd")
	root := rootDir(dataDir)
	for _, dir := range []string{state, root} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	file := filepath.Join(state, "config.toml")
	if err := atomicfile.Write(file, fmt.Appendf(nil, config, root, stateDir(runDir), Socket(runDir), Socket(runDir)+".ttrpc"), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dataDir, "log", "containerd.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	own, err := install(dataDir, filepath.Join(programs, "containerd"), filepath.Join(programs, "containerd-shim-runc-v2"), filepath.Join(programs, "ctr"))
	if err != nil {
		return err
	}
	cmd := exec.Command(own[0], "--config", file, "--log-level", "warn")
	cmd.Env = []string{"PATH=" + filepath.Dir(own[0]) + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := atomicfile.Write(pidFile(runDir), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !Answers(runDir) {
		select {
		case err := <-ended:
			return fmt.Errorf("containerd ended at once (%w): see %s", err, log.Name())
		case <-ctx.Done():
			return fmt.Errorf("containerd does not answer: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// StopContainerd ends Cloister's containerd. Containers must have ended before.
func StopContainerd(ctx context.Context, runDir string) error {
	b, err := os.ReadFile(pidFile(runDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("%s: %w", pidFile(runDir), err)
	}
	// The number may be somebody else's by now.
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || filepath.Base(exe) != "containerd" {
		return os.Remove(pidFile(runDir))
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(pid, 0) == nil {
		if st, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(st), ") Z ") {
			break // ended; its parent has not looked yet
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("containerd does not end: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return os.Remove(pidFile(runDir))
}

// Answers says whether the containerd of this run directory takes connections.
func Answers(runDir string) bool {
	conn, err := net.DialTimeout("unix", Socket(runDir), time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"cloister.dev/cloister/internal/atomicfile"
)

// Socket is where Cloister's containerd listens.
func Socket(runDir string) string { return filepath.Join(runDir, "containerd", "containerd.sock") }

// rootDir holds what lasts of containerd, stateDir what is gone after a reboot.
func rootDir(dataDir string) string { return filepath.Join(dataDir, "containerd") }
func stateDir(runDir string) string { return filepath.Join(runDir, "containerd", "state") }

func configFile(runDir string) string { return filepath.Join(runDir, "containerd", "config.toml") }

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
// shim; they are copied to the data directory. One that runs and does not answer yet is waited for.
func StartContainerd(ctx context.Context, dataDir, runDir, programs string) error {
	if Answers(runDir) {
		return nil
	}
	if pids, err := containerds(runDir); err != nil {
		return err
	} else if len(pids) > 0 {
		return waitAnswers(ctx, runDir, nil)
	}
	state := filepath.Join(runDir, "containerd")
	root := rootDir(dataDir)
	for _, dir := range []string{state, root} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	file := configFile(runDir)
	if err := atomicfile.Write(file, fmt.Appendf(nil, config, root, stateDir(runDir), Socket(runDir), Socket(runDir)+".ttrpc"), 0o600); err != nil {
		return err
	}
	log, err := openLog(filepath.Join(dataDir, "log", "containerd.log"))
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
	if err := waitAnswers(ctx, runDir, ended); err != nil {
		return fmt.Errorf("%w: see %s", err, log.Name())
	}
	return nil
}

// waitAnswers waits for containerd, until ctx ends or it does.
func waitAnswers(ctx context.Context, runDir string, ended <-chan error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !Answers(runDir) {
		select {
		case err := <-ended:
			return fmt.Errorf("containerd ended at once: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("containerd does not answer: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// maxLog is how large containerd's log may be, in bytes, before a start begins it anew.
const maxLog = 16 << 20

func openLog(path string) (*os.File, error) {
	mode := os.O_CREATE | os.O_APPEND | os.O_WRONLY
	if st, err := os.Stat(path); err == nil && st.Size() > maxLog {
		mode |= os.O_TRUNC
	}
	return os.OpenFile(path, mode, 0o600)
}

// StopContainerd ends Cloister's containerd. Containers must have ended before.
func StopContainerd(ctx context.Context, runDir string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := containerds(runDir) // one that has ended and that its parent has not looked at has no arguments
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("containerd does not end: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Answers says whether the containerd of this run directory takes connections.
func Answers(runDir string) bool {
	conn, err := net.DialTimeout("unix", Socket(runDir), time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"cloister.dev/cloister/internal/atomicfile"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/local"
)

// Progress prints a line about a step.
type Progress func(format string, args ...any)

// Up checks the host, builds what is missing, starts the daemon if none of this
// program and configuration runs, and returns when everything answers. It is safe to repeat.
func Up(ctx context.Context, c config.Config, say Progress) error {
	if err := checkHost(ctx, c); err != nil {
		return err
	}
	plan, err := planHost(ctx, c)
	if err != nil {
		return err
	}
	if err := makeDirs(plan.folders); err != nil {
		return err
	}
	if err := set(c, plan.settings, say); err != nil {
		return err
	}
	if err := prepareArtefacts(ctx, c, say); err != nil {
		return err
	}
	if err := startDaemon(ctx, c, plan, say); err != nil {
		return err
	}
	if err := waitReady(ctx, c, local.NewClient(c.RunDir), say); err != nil {
		return err
	}
	if hint := plan.access.hint(); hint != "" {
		say("%s", hint)
	}
	for _, note := range plan.notes {
		say("%s", note)
	}
	return nil
}

// startDaemon starts the daemon, or another one in the place of one that is not of this program and this configuration.
func startDaemon(ctx context.Context, c config.Config, plan *hostPlan, say Progress) error {
	command := plan.daemon
	switch {
	case command != nil:
	case plan.restart == "":
		say("the daemon runs already")
		return plan.access.grant() // the group may be new
	default:
		say("the daemon is started again: %s; what runs goes on", plan.restart)
		if err := stopDaemon(ctx, c, say); err != nil {
			return err
		}
		var err error
		if command, err = daemonCommand(c); err != nil {
			return err
		}
	}
	return spawn(c, command, say)
}

func configFile(c config.Config) string { return filepath.Join(c.RunDir, "config.json") }

// daemonCommand is how the daemon is started.
func daemonCommand(c config.Config) ([]string, error) {
	exe, err := os.Executable()
	return []string{exe, "serve", "--config", configFile(c)}, err
}

// spawn starts `cloister serve` in a session of its own: it outlives the shell.
func spawn(c config.Config, command []string, say Progress) error {
	log, err := os.OpenFile(LogFile(c), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	// The daemon gets the configuration that is in force here, flags included.
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(configFile(c), b, 0o600); err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	say("the daemon starts (process %d, log %s)", cmd.Process.Pid, LogFile(c))
	return cmd.Process.Release()
}

// waitReady returns when every part is well, and says what it waits for meanwhile.
func waitReady(ctx context.Context, c config.Config, client *local.Client, say Progress) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	said, down := "", time.Now()
	for {
		st, err := client.Status(ctx)
		waiting := ""
		switch {
		case errors.Is(err, local.ErrDown):
			waiting = "the daemon"
			if time.Since(down) > 30*time.Second {
				return fmt.Errorf("the daemon did not start; its log %s ends with:\n%s", LogFile(c), lastLines(LogFile(c), 5))
			}
		case err != nil:
			return err
		default:
			for _, p := range st.Parts {
				if !p.OK {
					waiting = p.Name
					if p.Message != "" {
						waiting += ": " + p.Message
					}
					break
				}
			}
			if waiting == "" {
				say("everything answers")
				return nil
			}
		}
		if waiting != said {
			say("waiting for %s", waiting)
			said = waiting
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited two minutes for %s; see `cloister logs`", waiting)
		case <-tick.C:
		}
	}
}

func lastLines(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	end := len(b)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == '\n' && i < end-1 {
			if n--; n == 0 {
				return string(b[i+1:])
			}
		}
	}
	return string(b)
}

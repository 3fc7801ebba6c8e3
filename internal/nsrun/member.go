package nsrun

import (
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Member is a program that root runs for somebody else, with files that they opened.
type Member struct {
	Options
	Identity Identity
	Stdio    [3]*os.File // the caller's open files
	Terminal bool        // Stdio is a terminal of the program's own
}

// RunMember runs the program in a session of its own and returns its exit status, as Run does. What
// comes by signals is passed on to everything in its session's first group; when hangup is closed that is asked to
// end and then killed.
func RunMember(m Member, signals <-chan syscall.Signal, hangup <-chan struct{}) (int, error) {
	if len(m.Args) == 0 || m.Args[0] == "" {
		return 0, errors.New("nsrun: no command")
	}
	if m.RootFS != "" || len(m.Binds) > 0 {
		return 0, errors.New("nsrun: a path of the caller's is not for root to open")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("nsrun: %w", err)
	}
	defer func() { _ = r.Close() }()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args, cmd.Env, cmd.Dir = []string{marker}, []string{}, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = m.Stdio[0], m.Stdio[1], m.Stdio[2], []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setsid: true}
	if err := startIn(m.NetNS, cmd); err != nil {
		_ = w.Close()
		return 0, fmt.Errorf("nsrun: %w", err)
	}
	err = gob.NewEncoder(w).Encode(order{Options: m.Options, Identity: &m.Identity, Terminal: m.Terminal})
	if err = errors.Join(err, w.Close()); err != nil && !errors.Is(err, syscall.EPIPE) {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		return 0, fmt.Errorf("nsrun: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var kill <-chan time.Time
	group := -cmd.Process.Pid
	for {
		select {
		case s := <-signals:
			_ = syscall.Kill(group, s)
		case <-hangup:
			hangup = nil
			_ = syscall.Kill(group, syscall.SIGHUP)
			kill = time.After(patience)
		case <-kill:
			_ = syscall.Kill(group, syscall.SIGKILL)
		case err := <-ended:
			return status(err)
		}
	}
}

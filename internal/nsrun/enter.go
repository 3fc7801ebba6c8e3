package nsrun

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Exit statuses of programs that could not be run, as shells have them.
const (
	exitCannot   = 126
	exitNotFound = 127
)

// EnterIfAsked is the second half of Run, in the child: it prepares the mount
// namespace and becomes the command. It returns at once in any other process.
func EnterIfAsked() {
	if len(os.Args) == 0 || os.Args[0] != marker {
		return
	}
	err := enter()
	fmt.Fprintln(os.Stderr, "cloister run:", err)
	code := exitCannot
	if errors.Is(err, errNotFound) {
		code = exitNotFound
	}
	os.Exit(code)
}

var errNotFound = errors.New("not found")

func enter() error {
	runtime.LockOSThread() // what is said of a process below is in truth said of a thread
	var o order
	pipe := os.NewFile(3, "options")
	if err := gob.NewDecoder(pipe).Decode(&o); err != nil {
		return fmt.Errorf("what to run: %w", err)
	}
	if err := pipe.Close(); err != nil {
		return err
	}
	var err error
	if o.RootFS != "" {
		err = enterRoot(o.Options, o.Own)
	} else if o.Resolver.IsValid() {
		err = setResolver(o.Options)
	}
	if err != nil {
		return err
	}
	switch {
	case o.Identity != nil:
		if err := become(*o.Identity, o.Terminal); err != nil {
			return err
		}
	case o.Own:
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
			return fmt.Errorf("capabilities: %w", err)
		}
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			return fmt.Errorf("capabilities: %w", err)
		}
	}
	if o.Dir != "" { // as the user: root could enter folders that the user cannot
		if err := os.Chdir(o.Dir); err != nil {
			return err
		}
	}
	path, err := lookUp(o.Options)
	if err != nil {
		return err
	}
	err = unix.Exec(path, o.Args, o.Env)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: its interpreter was %w", o.Args[0], errNotFound)
	}
	return fmt.Errorf("%s: %w", o.Args[0], err)
}

// lookUp finds the program in the PATH of the environment that it gets.
func lookUp(o Options) (string, error) {
	for _, kv := range o.Env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			if err := os.Setenv("PATH", path); err != nil {
				return "", err
			}
		}
	}
	path, err := exec.LookPath(o.Args[0])
	switch {
	case errors.Is(err, exec.ErrDot):
		return path, nil // the PATH says so
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s: %w", o.Args[0], errNotFound)
	}
	return path, err
}

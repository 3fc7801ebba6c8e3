// Command escape tries to get out of the container that it runs in, in every way
// it knows, and prints what came of it: a line of JSON per attempt.
//
//	escape FILE [ATTEMPT]    FILE holds contain.Targets as JSON; without an attempt, all of them
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"

	"cloister.dev/cloister/test/contain"
)

// attempt returns nil when it got out, and otherwise what it was refused with.
type attempt func(contain.Targets) error

func attempts() map[string]attempt {
	all := map[string]attempt{}
	for _, some := range []map[string]attempt{deviceAttempts, callAttempts, fileAttempts, settingAttempts(), namespaceAttempts, cgroupAttempts, mountAttempts} {
		maps.Copy(all, some)
	}
	return all
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "escape:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || len(args) > 2 {
		return errors.New("usage: escape FILE [ATTEMPT]")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var t contain.Targets
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	known := attempts()
	out := json.NewEncoder(os.Stdout)
	if len(args) == 2 {
		try, ok := known[args[1]]
		if !ok {
			return fmt.Errorf("there is no attempt %q", args[1])
		}
		// Some change the thread's namespaces.
		runtime.LockOSThread()
		o := contain.Outcome{Attempt: args[1]}
		if err := try(t); err != nil {
			o.Refusal = err.Error()
		}
		return out.Encode(o)
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if err := alone(args[0], name, nil); err != nil {
			return err
		}
	}
	for _, name := range again {
		// A user namespace of one's own gives all capabilities, in it.
		maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
		if err := alone(args[0], name, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: maps, GidMappings: maps}); err != nil {
			return err
		}
	}
	return nil
}

// again are the attempts that are made once more from a user namespace of one's own.
var again = []string{"device: a disk", "device: console", "file: by its handle", "call: init_module", "call: settimeofday"}

// alone makes an attempt in a process of its own.
func alone(file, name string, attr *syscall.SysProcAttr) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", file, name)
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, attr
	text, err := cmd.Output()
	o := contain.Outcome{Attempt: name}
	switch {
	case attr != nil && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSPC)):
		o.Refusal = "no user namespace: " + err.Error()
	case err != nil:
		return fmt.Errorf("attempt %q: %w", name, err)
	default:
		if err := json.Unmarshal(text, &o); err != nil {
			return fmt.Errorf("attempt %q: %w", name, err)
		}
	}
	if attr != nil {
		o.Attempt += ", in a user namespace"
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

// permitted tells a call that was refused for the caller's rights, or is not there, from one that was refused for its arguments.
func permitted(errno error) error {
	for _, refusal := range []error{syscall.EPERM, syscall.EACCES, syscall.ENOSYS} {
		if errors.Is(errno, refusal) {
			return errno
		}
	}
	return nil
}

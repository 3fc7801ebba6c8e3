package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is a pseudo terminal of a command's own, between it and the caller's: the command is in a
// session of the daemon's making, and can have no other as its controlling one (pty(7)).
type terminal struct {
	outer, inner *os.File
	before       *term.State
	copied       chan struct{}
	once         sync.Once
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func openTerminal() (*terminal, error) {
	outer, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("a terminal for the command: %w", err)
	}
	t := &terminal{outer: outer, copied: make(chan struct{})}
	fd := int(outer.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		t.inner, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err == nil {
		t.before, err = term.MakeRaw(int(os.Stdin.Fd()))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a terminal for the command: %w", err), outer.Close())
	}
	t.resize()
	go func() { _, _ = io.Copy(outer, os.Stdin) }()
	go func() {
		_, _ = io.Copy(os.Stdout, outer) // ends with an error when nobody has the inner end any more
		close(t.copied)
	}()
	return t, nil
}

func (t *terminal) resize() {
	if size, err := unix.IoctlGetWinsize(int(os.Stdin.Fd()), unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(int(t.outer.Fd()), unix.TIOCSWINSZ, size)
	}
}

// follow keeps the terminal's size, of which the kernel tells the command, and hands the other signals on.
func (t *terminal) follow(signals <-chan os.Signal) <-chan os.Signal {
	out := make(chan os.Signal, 16)
	go func() {
		for s := range signals {
			if s == syscall.SIGWINCH {
				t.resize()
				continue
			}
			out <- s
		}
	}()
	return out
}

// close waits for the command's last words and makes the caller's terminal as it was.
func (t *terminal) close() {
	t.once.Do(func() {
		_ = t.inner.Close()
		<-t.copied
		_ = term.Restore(int(os.Stdin.Fd()), t.before)
		_ = t.outer.Close()
	})
}

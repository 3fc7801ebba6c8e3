package app

import (
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"cloister.dev/cloister/internal/local"
	"cloister.dev/cloister/internal/nsrun"
)

// KeeperCommand is the hidden command that keeps one command of a member.
const KeeperCommand = "keep-member"

// passed are the signals that a caller may send to a command.
var passed = map[syscall.Signal]bool{
	syscall.SIGINT: true, syscall.SIGTERM: true, syscall.SIGHUP: true, syscall.SIGQUIT: true, syscall.SIGUSR1: true, syscall.SIGUSR2: true, syscall.SIGWINCH: true,
	syscall.SIGCONT: true, syscall.SIGTSTP: true,
}

// KeepMember is the keeper's process: file 3 says what to run, file 4 is the caller's connection, and 5 to 7 are
// the command's standard streams.
func KeepMember() error {
	syscall.Umask(0o022)
	var order memberOrder
	pipe := os.NewFile(3, "order")
	if err := gob.NewDecoder(pipe).Decode(&order); errors.Is(err, io.EOF) {
		return nil // there was no interface for it; the daemon said so
	} else if err != nil {
		return fmt.Errorf("what to run: %w", err)
	}
	if err := pipe.Close(); err != nil {
		return err
	}
	line := os.NewFile(4, "caller")
	conn, err := net.FileConn(line)
	if err = errors.Join(err, line.Close()); err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	member := nsrun.Member{Options: order.Options, Identity: order.Identity, Terminal: order.Terminal}
	for i := range member.Stdio {
		member.Stdio[i] = os.NewFile(uintptr(5+i), "of the caller")
		syscall.CloseOnExec(5 + i)
	}
	signals, hangup := make(chan syscall.Signal), make(chan struct{})
	gone, hang := make(chan struct{}), sync.OnceFunc(func() { close(hangup) })
	go listen(conn, signals, hang, gone)
	go watch(order.Options.NetNS, hang, gone)
	code, err := nsrun.RunMember(member, signals, hangup)
	close(gone)
	end := local.MemberEnd{Exit: code}
	if err != nil {
		end.Error = err.Error()
	}
	if err := conn.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	// A caller who has gone wants no answer.
	if err := json.NewEncoder(conn).Encode(end); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	return nil
}

// listen passes the caller's signals on until it closes the connection, which ends the command.
func listen(conn net.Conn, signals chan<- syscall.Signal, hangup func(), gone <-chan struct{}) {
	in := json.NewDecoder(io.LimitReader(conn, 1<<20))
	for {
		var s local.MemberSignal
		if err := in.Decode(&s); err != nil {
			hangup()
			return
		}
		if !passed[syscall.Signal(s.Signal)] {
			continue
		}
		select {
		case signals <- syscall.Signal(s.Signal):
		case <-gone:
			return
		}
	}
}

// watch ends the command when its network is gone: `cloister down`.
func watch(netns string, hangup func(), gone <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-gone:
			return
		case <-tick.C:
			if _, err := os.Stat(netns); errors.Is(err, os.ErrNotExist) {
				hangup()
				return
			}
		}
	}
}

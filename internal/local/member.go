package local

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// MemberProtocol is what a connection becomes on which the daemon runs a command for somebody who is not root.
const MemberProtocol = "cloister-run"

// MaxMemberRequest is the largest request in bytes: arguments and variables, as the kernel bounds them, too.
const MaxMemberRequest = 4 << 20

// MemberRequest asks the daemon to run a command in a subnet as the caller.
type MemberRequest struct {
	Subnet   string   `json:"subnet"`
	Token    string   `json:"token"` // access token of the ARM endpoint
	Args     [][]byte `json:"args"`  // any bytes, as execve takes them
	Env      [][]byte `json:"env"`
	Dir      string   `json:"dir"` // working folder, entered as the caller
	Umask    int      `json:"umask"`
	Terminal bool     `json:"terminal"` // the files that follow are a terminal of the command's own
}

// MemberSignal is what the caller sends while the command runs.
type MemberSignal struct {
	Signal int `json:"signal"`
}

// MemberEnd is the one thing that comes back.
type MemberEnd struct {
	Exit  int    `json:"exit"`
	Error string `json:"error,omitempty"`
}

// RunMember has the daemon run a command with the caller's identity and these files as its standard streams. It
// returns the exit status. Signals are passed on to the command.
func (c *Client) RunMember(ctx context.Context, req MemberRequest, stdio [3]*os.File, signals <-chan os.Signal) (int, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return 0, err
	}
	var d net.Dialer
	raw, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return 0, c.unreachable(err)
	}
	defer func() { _ = raw.Close() }()
	conn, ok := raw.(*net.UnixConn)
	if !ok {
		return 0, errors.New("the daemon's socket is no Unix socket")
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cloister/run", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	hr.Header.Set("Connection", "Upgrade")
	hr.Header.Set("Upgrade", MemberProtocol)
	if err := hr.Write(conn); err != nil {
		return 0, fmt.Errorf("ask the daemon: %w", err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, hr)
	if err != nil {
		return 0, fmt.Errorf("ask the daemon: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer func() { _ = resp.Body.Close() }()
		return 0, answerError(resp)
	}
	if _, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(int(stdio[0].Fd()), int(stdio[1].Fd()), int(stdio[2].Fd())), nil); err != nil {
		return 0, fmt.Errorf("hand the files over: %w", err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		out := json.NewEncoder(conn)
		for {
			select {
			case s := <-signals:
				if n, ok := s.(syscall.Signal); ok {
					_ = out.Encode(MemberSignal{int(n)})
				}
			case <-done:
				return
			}
		}
	}()
	var end MemberEnd
	err = json.NewDecoder(in).Decode(&end)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 0, errors.New("the command's keeper ended before it: see `cloister logs`")
	case err != nil:
		return 0, err
	case end.Error != "":
		return 0, errors.New(end.Error)
	}
	return end.Exit, nil
}

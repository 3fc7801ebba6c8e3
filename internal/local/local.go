// Package local is what the commands of this machine say to the daemon: HTTP
// over a Unix socket for root and the members of a group.
package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Socket is the daemon's socket below the run directory.
func Socket(runDir string) string { return filepath.Join(runDir, "cloister.sock") }

// ErrDown says that no daemon answers at the socket.
var ErrDown = errors.New("cloister does not run here: start it with `cloister up`")

// ErrDenied says that the caller may not use the socket.
var ErrDenied = errors.New("you have no access to the Cloister of this machine")

// Status is what `cloister status` shows.
type Status struct {
	Version   string     `json:"version"`
	URL       string     `json:"url"`
	Since     time.Time  `json:"since"`
	Parts     []Part     `json:"parts"`
	Clusters  []Cluster  `json:"clusters"`
	Networks  int        `json:"networks"`
	Workloads []Workload `json:"workloads"`
	Notes     []string   `json:"notes,omitempty"` // what the owner of the machine should know
}

// Part is one of Cloister's own parts.
type Part struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"`
}

// Cluster is one managed cluster.
type Cluster struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	State   string `json:"state"`
	Nodes   string `json:"nodes"` // ready/wanted
	Message string `json:"message,omitempty"`
}

// Workload is one container.
type Workload struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Phase    string    `json:"phase"`
	Message  string    `json:"message,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Restarts int       `json:"restarts,omitempty"`
}

// SessionRequest asks for an interface in a subnet for a process of this machine.
type SessionRequest struct {
	Subnet string `json:"subnet"` // subnet id
	PID    int    `json:"pid"`    // the session ends with this process
}

// Session is an interface of a running command.
type Session struct {
	ID      string `json:"id"`
	NetNS   string `json:"netns"`   // path of the pinned namespace
	Address string `json:"address"` // in the subnet
}

// Client calls the daemon.
type Client struct {
	http   *http.Client
	socket string
}

// NewClient makes a client of the daemon at the run directory.
func NewClient(runDir string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", Socket(runDir))
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial}}, Socket(runDir)}
}

// Status asks how the daemon is.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	st := &Status{}
	return st, c.do(ctx, http.MethodGet, "/status", nil, st)
}

// OpenSession makes a NIC in the subnet and waits until it is attached.
func (c *Client) OpenSession(ctx context.Context, req SessionRequest) (*Session, error) {
	s := &Session{}
	return s, c.do(ctx, http.MethodPost, "/sessions", req, s)
}

// CloseSession removes the session's NIC.
func (c *Client) CloseSession(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/sessions/"+id, nil, nil)
}

// unreachable tells a daemon that is not there from one that the caller may not use.
func (c *Client) unreachable(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return ErrDown
	}
	var st syscall.Stat_t
	if err := syscall.Stat(c.socket, &st); err != nil || st.Gid == 0 {
		return fmt.Errorf("%w: %s is for root only; members of a group can have access (`sudo cloister up` says how)", ErrDenied, c.socket)
	}
	group := strconv.Itoa(int(st.Gid))
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Errorf("%w: %s is for root and the group %s, in which this shell is not (sudo usermod -aG %s \"$USER\", then sign in again)", ErrDenied, c.socket, group, group)
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://cloister"+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return c.unreachable(err)
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		return answerError(resp)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// answerError is what the daemon says of a request that failed.
func answerError(resp *http.Response) error {
	var e struct{ Error string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&e); err != nil || e.Error == "" {
		return fmt.Errorf("%s %s: %s", resp.Request.Method, resp.Request.URL.Path, resp.Status)
	}
	return errors.New(e.Error)
}

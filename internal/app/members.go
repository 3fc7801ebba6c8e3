package app

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/local"
	"cloister.dev/cloister/internal/nsrun"
	"cloister.dev/cloister/internal/resourceid"
)

// ActionJoin is what a principal needs at a subnet to run commands in it, as Azure asks it of whoever attaches
// an interface: https://learn.microsoft.com/azure/role-based-access-control/permissions/networking
const ActionJoin = "Microsoft.Network/virtualNetworks/subnets/join/action"

// memberRuns is how many commands the members of the group may have running at once, each of them.
const memberRuns = 64

// members runs commands in subnets for people who are not root. A keeper, which is a process of its own, makes
// the command and waits for it, so that it goes on when the daemon is away. What the caller says is never used by root:
// paths are opened, and programs looked up, by the command's process after it has become the caller.
type members struct {
	log *slog.Logger
	mu  sync.Mutex
	now map[uint32]int // commands, by user
}

// memberOrder is what a keeper gets.
type memberOrder struct {
	Options  nsrun.Options
	Identity nsrun.Identity
	Terminal bool
}

// run answers POST /run.
func (m *members) run(w http.ResponseWriter, r *http.Request, who peer, sessions *sessions, ids *identity.Service) error {
	var req local.MemberRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, local.MaxMemberRequest)).Decode(&req); err != nil {
		return err
	}
	if who.root() {
		return errors.New("root runs commands itself")
	}
	principal, err := mayJoin(r.Context(), ids, req)
	if err != nil {
		return err
	}
	limits, err := nsrun.LimitsOf(who.pid)
	if err != nil {
		return err
	}
	if err := m.enter(who.uid); err != nil {
		return err
	}
	defer m.leave(who.uid)
	conn, err := upgrade(w)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	order := memberOrder{
		Options:  nsrun.Options{Resolver: PlatformDNS, Dir: req.Dir, Args: texts(req.Args), Env: texts(req.Env)},
		Identity: nsrun.Identity{UID: who.uid, GID: who.gid, Groups: who.groups, Limits: limits, Umask: req.Umask & 0o777},
		Terminal: req.Terminal,
	}
	m.log.Info("a member's command", "user", who.uid, "principal", principal.ObjectID, "subnet", req.Subnet, "process", who.pid)
	if err := m.keep(context.WithoutCancel(r.Context()), conn, order, req.Subnet, sessions); err != nil {
		// The answer has begun: this is the rest of it.
		_ = json.NewEncoder(conn).Encode(local.MemberEnd{Error: err.Error()})
	}
	return nil
}

// mayJoin wants the token's principal to be allowed to join the subnet.
func mayJoin(ctx context.Context, ids *identity.Service, req local.MemberRequest) (arm.Principal, error) {
	if ids == nil {
		return arm.Principal{}, errStarting
	}
	subnet, err := resourceid.Parse(req.Subnet)
	if err != nil {
		return arm.Principal{}, err
	}
	r := &http.Request{Header: http.Header{"Authorization": {"Bearer " + req.Token}}}
	principal, err := ids.Authenticator.Authenticate(r.WithContext(ctx))
	if err != nil {
		return principal, err
	}
	return principal, ids.Authorizer.Authorize(ctx, principal, ActionJoin, subnet.String())
}

func (m *members) enter(uid uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now[uid] >= memberRuns {
		return fmt.Errorf("you have %d commands in subnets already: end some", memberRuns)
	}
	m.now[uid]++
	return nil
}

func (m *members) leave(uid uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now[uid]--; m.now[uid] == 0 {
		delete(m.now, uid)
	}
}

// upgrade takes the connection out of HTTP.
func upgrade(w http.ResponseWriter) (*net.UnixConn, error) {
	raw, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	conn, ok := raw.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("not a Unix socket"), raw.Close())
	}
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+local.MemberProtocol+"\r\n\r\n")
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// keep starts the keeper, attaches an interface for it, tells it what to run, and waits for it.
func (m *members) keep(ctx context.Context, conn *net.UnixConn, order memberOrder, subnet string, sessions *sessions) error {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	files, err := receiveFiles(conn, 3)
	if err != nil {
		return err
	}
	defer closeAll(files)
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	line, err := conn.File()
	if err != nil {
		return err
	}
	defer func() { _ = line.Close() }()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	cmd := exec.Command("/proc/self/exe", KeeperCommand)
	cmd.Args[0], cmd.Env, cmd.Dir = "cloister", []string{}, "/"
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // the daemon's log
	cmd.ExtraFiles = append([]*os.File{r, line}, files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = r.Close()
	if err != nil {
		return fmt.Errorf("start the command's keeper: %w", err)
	}
	session, err := sessions.open(ctx, local.SessionRequest{Subnet: subnet, PID: cmd.Process.Pid})
	if err == nil {
		order.Options.NetNS = session.NetNS
		err = gob.NewEncoder(w).Encode(order)
	}
	_ = w.Close() // without an order it ends
	if wait := cmd.Wait(); err == nil && wait != nil {
		err = fmt.Errorf("the command's keeper: %w", wait)
	}
	if session != nil {
		err = errors.Join(err, sessions.end(ctx, sessionPrefix+session.ID))
	}
	return err
}

func texts(list [][]byte) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = string(b)
	}
	return out
}

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peer is who connected to the local socket, as the kernel says (SO_PEERCRED, SO_PEERGROUPS; unix(7)).
type peer struct {
	pid      int
	uid, gid uint32
	groups   []uint32
}

func (p peer) root() bool { return p.uid == 0 }

// peerKey is where the HTTP server keeps the peer of a connection.
type peerKey struct{}

func peerOf(ctx context.Context) (peer, bool) {
	p, ok := ctx.Value(peerKey{}).(peer)
	return p, ok
}

// withPeer asks the kernel who connected. A connection of which it does not say has no peer, and is refused.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	p, err := readPeer(u)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, p)
}

func readPeer(c *net.UnixConn) (peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var p peer
	var inner error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); inner != nil {
			return
		}
		p.pid, p.uid, p.gid = int(cred.Pid), cred.Uid, cred.Gid
		p.groups, inner = peerGroups(fd)
	})
	if err = errors.Join(err, inner); err != nil {
		return peer{}, err
	}
	return p, nil
}

// maxGroups is NGROUPS_MAX of Linux.
const maxGroups = 65536

// peerGroups are the supplementary groups that the peer had when it connected (SO_PEERGROUPS). What /proc says of
// its number would be another process's as soon as it has ended.
func peerGroups(fd uintptr) ([]uint32, error) {
	for room := 64; room <= maxGroups; room *= 4 {
		out := make([]uint32, room)
		size := uint32(room * 4)
		_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS, uintptr(unsafe.Pointer(&out[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch e {
		case 0:
			return out[:size/4], nil
		case unix.ERANGE:
			continue
		}
		return nil, fmt.Errorf("groups of the caller: %w", e)
	}
	return nil, errors.New("the caller is in too many groups")
}

// allows tells whether the peer may use the socket. The socket's mode says the same; it does not
// hold for the moment in which the socket is made.
func (a access) allows(p peer) bool {
	return p.root() || a.gid >= 0 && (p.gid == uint32(a.gid) || slices.Contains(p.groups, uint32(a.gid)))
}

// files receives open files that the peer sends with one byte (SCM_RIGHTS).
func receiveFiles(c *net.UnixConn, want int) ([]*os.File, error) {
	room := make([]byte, unix.CmsgSpace(want*4))
	one := make([]byte, 1)
	_, n, flags, _, err := c.ReadMsgUnix(one, room)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(room[:n])
	if err != nil {
		return nil, err
	}
	var out []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			out = append(out, os.NewFile(uintptr(fd), "of the caller"))
		}
	}
	if len(out) != want || flags&unix.MSG_CTRUNC != 0 {
		closeAll(out)
		return nil, fmt.Errorf("%d open files came, %d were expected", len(out), want)
	}
	return out, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

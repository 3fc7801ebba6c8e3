package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/local"
)

// access says who may use the socket besides root: the members of a group, if there is one.
type access struct {
	socket string
	group  string
	gid    int // -1: there is no such group
}

// accessOf looks the group up. It may be a number: then it need not have a name.
func accessOf(c config.Config) access {
	a := access{socket: local.Socket(c.RunDir), group: c.Group, gid: -1}
	if g, err := user.LookupGroup(c.Group); err == nil {
		a.gid, err = strconv.Atoi(g.Gid)
		if err != nil {
			a.gid = -1
		}
	} else if n, err := strconv.Atoi(c.Group); err == nil {
		a.gid = n
	}
	return a
}

func (a access) mode() os.FileMode {
	if a.gid < 0 {
		return 0o600
	}
	return 0o660
}

func (a access) String() string {
	if a.gid < 0 {
		return fmt.Sprintf("root: socket %s, mode %o. %s", a.socket, a.mode(), a.hint())
	}
	return fmt.Sprintf("root, and members of the group %s: socket %s, mode %o", a.group, a.socket, a.mode())
}

// hint is how the group comes to be; "" where it is there.
func (a access) hint() string {
	if a.gid >= 0 {
		return ""
	}
	return fmt.Sprintf("For others to use Cloister without root: groupadd --system %[1]s && usermod -aG %[1]s USER && cloister up", a.group)
}

// grant sets the socket's owner and mode. A socket that is not there (yet) is the daemon's to grant.
func (a access) grant() error {
	gid := max(a.gid, 0)
	// The group first: with the mode first, another group would have it for a moment.
	err := os.Chown(a.socket, 0, gid)
	if err == nil {
		err = os.Chmod(a.socket, a.mode())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("give %s to group %s: %w", a.socket, a.group, err)
	}
	return nil
}

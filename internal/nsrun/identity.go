package nsrun

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Identity is whom the program runs as, for a caller that is root.
type Identity struct {
	UID, GID uint32
	Groups   []uint32
	Limits   map[int]unix.Rlimit // by RLIMIT_*
	Umask    int
}

// limited are the limits of the caller that its program keeps, by their names in /proc/PID/limits (proc(5)).
var limited = map[string]int{
	"Max address space": unix.RLIMIT_AS, "Max core file size": unix.RLIMIT_CORE, "Max cpu time": unix.RLIMIT_CPU, "Max data size": unix.RLIMIT_DATA,
	"Max file size": unix.RLIMIT_FSIZE, "Max file locks": unix.RLIMIT_LOCKS, "Max locked memory": unix.RLIMIT_MEMLOCK, "Max msgqueue size": unix.RLIMIT_MSGQUEUE,
	"Max nice priority": unix.RLIMIT_NICE, "Max open files": unix.RLIMIT_NOFILE, "Max processes": unix.RLIMIT_NPROC, "Max resident set": unix.RLIMIT_RSS,
	"Max realtime priority": unix.RLIMIT_RTPRIO, "Max pending signals": unix.RLIMIT_SIGPENDING, "Max stack size": unix.RLIMIT_STACK,
}

// LimitsOf are the limits of a process. prlimit(2) would want CAP_SYS_RESOURCE, which root in a container may lack.
func LimitsOf(pid int) (map[int]unix.Rlimit, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		return nil, err
	}
	out := map[int]unix.Rlimit{}
	for line := range strings.Lines(string(b)) {
		for name, resource := range limited {
			rest, ok := strings.CutPrefix(line, name+" ")
			if !ok {
				continue
			}
			f := strings.Fields(rest)
			if len(f) < 2 {
				return nil, fmt.Errorf("limits of process %d: %q", pid, line)
			}
			soft, err1 := limitOf(f[0])
			hard, err2 := limitOf(f[1])
			if err := errors.Join(err1, err2); err != nil {
				return nil, fmt.Errorf("limits of process %d: %w", pid, err)
			}
			out[resource] = unix.Rlimit{Cur: soft, Max: hard}
		}
	}
	return out, nil
}

func limitOf(s string) (uint64, error) {
	if s == "unlimited" {
		return math.MaxUint64, nil
	}
	return strconv.ParseUint(s, 10, 64)
}

// become gives up being root for ever: what the process becomes has the identity's rights and none besides.
// terminal says that standard input is a terminal of the program's own.
func become(id Identity, terminal bool) error {
	if id.UID == 0 {
		return errors.New("nsrun: an identity that is root")
	}
	// The keys of whoever started the daemon are not the program's to use.
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("leave the session's keys: %w", err)
	}
	// Files that whoever started the daemon left open.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close files: %w", err)
	}
	unix.Umask(id.Umask)
	for resource, l := range id.Limits {
		now := unix.Rlimit{}
		if err := unix.Prlimit(0, resource, nil, &now); err != nil {
			return fmt.Errorf("limit %d: %w", resource, err)
		}
		// Where this process lacks the right to raise a limit, the lower one holds.
		l = unix.Rlimit{Cur: min(l.Cur, l.Max), Max: l.Max}
		if err := unix.Prlimit(0, resource, &l, nil); errors.Is(err, unix.EPERM) {
			l.Max = min(l.Max, now.Max)
			l.Cur = min(l.Cur, l.Max)
			err = unix.Prlimit(0, resource, &l, nil)
			if err != nil {
				return fmt.Errorf("limit %d: %w", resource, err)
			}
		} else if err != nil {
			return fmt.Errorf("limit %d: %w", resource, err)
		}
	}
	// A program that gains rights by its file's mode would do so with a resolver that a user of the network controls.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	groups := make([]int, len(id.Groups))
	for i, g := range id.Groups {
		groups[i] = int(g)
	}
	uid, gid := int(id.UID), int(id.GID)
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("user: %w", err)
	}
	// Inheritable ones survive a change of user; none may.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if u, e := os.Getuid(), os.Geteuid(); u != uid || e != uid {
		return fmt.Errorf("nsrun: still user %d/%d", u, e)
	}
	if terminal {
		// As the user, and without force: a terminal that is somebody else's stays so.
		if err := unix.IoctlSetInt(0, unix.TIOCSCTTY, 0); err != nil {
			return fmt.Errorf("take the terminal: %w", err)
		}
	}
	return nil
}

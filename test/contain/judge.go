package contain

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Outcomes reads what the program printed.
func Outcomes(t *testing.T, printed string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(printed)); ; {
		var o Outcome
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, printed)
		}
		out[o.Attempt] = o.Refusal
	}
}

// Control has the machine's own root make the attempts. Those that it is refused
// itself, because this kernel or this machine has no such thing, prove nothing;
// all others have to succeed, or the attempt is a wrong one.
func Control(t *testing.T, program string, targets Targets) map[string]string {
	t.Helper()
	targets.Control = true
	file := filepath.Join(t.TempDir(), "targets.json")
	if err := os.WriteFile(file, targets.JSON(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, file)
	cmd.Stderr = os.Stderr
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("the attempts on the machine: %v", err)
	}
	out := Outcomes(t, string(printed))
	for _, name := range slices.Sorted(maps.Keys(out)) {
		if out[name] == "" {
			continue
		}
		if !dependent(name, out[name]) {
			t.Errorf("%s: the machine's own root is refused as well: %s", name, out[name])
		}
		t.Logf("proves little on this machine: %s: %s", name, out[name])
	}
	return out
}

// Judge compares what came of the attempts in a container with what has to. known are those that get out, as docs/threat-model.md says.
func Judge(t *testing.T, control, outcomes map[string]string, known []string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(control)) {
		refusal, made := outcomes[name]
		switch {
		case !made:
			t.Errorf("%s: not tried", name)
		case refusal != "":
		case slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(name, k) }):
			t.Logf("gets out, as docs/threat-model.md says: %s", name)
		default:
			t.Errorf("%s: it got out", name)
		}
	}
}

// dependent says whether a machine's root may be refused: by a kernel that has no such thing, or because it would change the machine.
func dependent(name, refusal string) bool {
	switch {
	case strings.HasSuffix(name, ", in a user namespace"), slices.Contains(refused, name):
		return true
	case strings.HasPrefix(name, "call: "), strings.HasPrefix(name, "device: "), strings.HasPrefix(name, "setting: "), strings.HasPrefix(name, "file: the kernel's "):
		return slices.ContainsFunc(absent, func(e syscall.Errno) bool { return strings.HasSuffix(refusal, e.Error()) })
	}
	return false
}

var absent = []syscall.Errno{unix.ENOSYS, unix.ENOENT, unix.ENODEV, unix.ENXIO, unix.EOPNOTSUPP}

// refused are those that also a machine's root may be refused.
var refused = []string{
	"cgroup: a hierarchy of one's own", "cgroup: release_agent in a mount's options", // not made there
	"device: a terminal",                                            // the kernel opens them in their own file system only
	"device: the root's disk",                                       // where the machine is itself somebody's guest
	"setting: /proc/sys/user/max_user_namespaces",                   // takes SYS_RESOURCE
	"cgroup: release_agent", "cgroup: release_agent by a new mount", // there is none with version 2
}

// KnownOfNodes are the attempts that get out of a node, and
// KnownOfPods those that get out of a privileged pod: all of them because a container's root is
// user 0 of the machine, and may mount.
var (
	KnownOfNodes = []string{
		"mount: the root's disk", "mount: proc, then a setting", "mount: sysfs, then a setting", "mount: devtmpfs", "mount: debugfs", "mount: tracefs",
	}
	KnownOfPods = append([]string{"setting: "}, KnownOfNodes...)
)

package contain

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// NewTargets makes the targets; dir is a folder of the machine, on the disk below
// /. They end with the test.
func NewTargets(t *testing.T, dir string) Targets {
	t.Helper()
	secret := rand.Text()
	out := Targets{
		Secret: secret, File: filepath.Join(dir, "target-secret"), Socket: filepath.Join(dir, "target.sock"),
		Key: "cloister-" + secret, Abstract: "cloister-" + secret, Process: "cloister-" + secret, Namespaces: map[string]string{},
	}
	if err := os.WriteFile(out.File, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, out.File, 0)
	if err != nil {
		t.Fatal(err)
	}
	out.Handle, out.HandleType = handle.Bytes(), handle.Type()
	for _, kind := range []string{"mnt", "pid", "net", "uts", "ipc", "cgroup"} {
		if out.Namespaces[kind], err = os.Readlink("/proc/self/ns/" + kind); err != nil {
			t.Fatal(err)
		}
	}
	out.Disk = disk(t)
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter("/"))
	if err != nil || len(mounts) == 0 {
		t.Fatalf("the mount at /: %v", err)
	}
	root := mounts[len(mounts)-1]
	out.RootDisk, out.RootType = fmt.Sprintf("%d:%d", root.Major, root.Minor), root.FSType
	listen(t, &out)
	id, err := unix.AddKey("user", out.Key, []byte(secret), unix.KEY_SPEC_USER_KEYRING)
	if err != nil {
		t.Fatalf("a key: %v", err)
	}
	t.Cleanup(func() {
		if _, err := unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0); err != nil {
			t.Errorf("remove the key: %v", err)
		}
	})
	process := exec.Command("sh", "-c", "read line", "sh", out.Process)
	input, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	out.PID = process.Process.Pid
	t.Cleanup(func() {
		_ = input.Close()
		_ = process.Wait() // with the status of a read at the end
	})
	return out
}

// listen opens the sockets and a terminal.
func listen(t *testing.T, out *Targets) {
	t.Helper()
	for network, address := range map[string]string{"unix": out.Socket, "unix ": "@" + out.Abstract, "tcp": "127.0.0.1:0"} {
		l, err := net.Listen(strings.TrimSpace(network), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		if tcp, ok := l.Addr().(*net.TCPAddr); ok {
			out.Port = tcp.Port
		}
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	number, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	out.Terminal = fmt.Sprintf("136:%d", number)
}

// disk makes a loop device with a file system, and returns its numbers.
func disk(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", file)
	device := run(t, "losetup", "--find", "--show", file)
	t.Cleanup(func() { run(t, "losetup", "--detach", device) })
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Build builds the program that makes the attempts: static, for any container.
func Build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "escape")
	cmd := exec.Command("go", "build", "-o", file, "cloister.dev/cloister/test/contain/escape")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return file
}

// JSON is how the program reads the targets.
func (t Targets) JSON() []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings and numbers can always be written
	}
	return b
}

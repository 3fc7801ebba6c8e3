package nsrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// report is what the program that is run sees.
type report struct {
	Args       []string
	Env        []string
	Dir        string
	Resolv     string
	Switches   string
	Interfaces []string
	Root       []string // entries of /
	Written    string   // error of writing into /etc
}

const reportTo = "NSRUN_REPORT"

// TestMain is also both programs that tests start: the second half of Run, and what it becomes.
func TestMain(m *testing.M) {
	EnterIfAsked()
	if to := os.Getenv(reportTo); to != "" {
		if err := write(to); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		return
	}
	os.Exit(m.Run())
}

func write(to string) error {
	r := report{Args: os.Args, Env: os.Environ()}
	r.Dir, _ = os.Getwd()
	b, _ := os.ReadFile("/etc/resolv.conf")
	r.Resolv = string(b)
	b, _ = os.ReadFile("/etc/nsswitch.conf")
	r.Switches = string(b)
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		r.Interfaces = append(r.Interfaces, i.Name)
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		r.Root = append(r.Root, e.Name())
	}
	if os.Getenv("NSRUN_WRITE") != "" {
		r.Written = fmt.Sprint(os.WriteFile("/etc/written", nil, 0o600))
	}
	b, err = json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

func TestInNetwork(t *testing.T) {
	needRoot(t)
	netns := pinned(t)
	own, before := mounts(t, "/etc", "/run/nscd", "/run/systemd/resolve", "/run/dbus"), ""
	if b, err := os.ReadFile("/etc/resolv.conf"); err == nil {
		before = string(b)
	}
	r := reported(t, Options{
		NetNS: netns, Resolver: netip.MustParseAddr("168.63.129.16"), Search: []string{"corp.example"}, Dir: "/",
		Env: []string{"A=\xff", "PATH=/nowhere"}, Args: []string{"one", "two words", "\xfe"},
	}, self(t))
	if !slices.Equal(r.Interfaces, []string{"lo"}) {
		t.Errorf("interfaces %v", r.Interfaces)
	}
	if r.Resolv != "search corp.example\nnameserver 168.63.129.16\noptions timeout:2 attempts:2\n" {
		t.Errorf("resolv.conf %q", r.Resolv)
	}
	if strings.Contains(r.Switches, "hosts:") && !strings.Contains(r.Switches, "hosts: files dns") && !strings.Contains(r.Switches, "hosts: files myhostname dns") {
		t.Errorf("nsswitch.conf %q", r.Switches)
	}
	if r.Dir != "/" || len(r.Args) != 4 || r.Args[2] != "two words" || len(r.Env) != 3 {
		t.Errorf("%+v", r)
	}
	if now := mounts(t, "/etc", "/run/nscd", "/run/systemd/resolve", "/run/dbus"); !slices.Equal(now, own) {
		t.Errorf("mounts were left behind: %v, before %v", now, own)
	}
	if b, err := os.ReadFile("/etc/resolv.conf"); err == nil && string(b) != before {
		t.Error("the machine's resolv.conf was changed")
	}
}

// rootFS is a folder with this program and little more.
func rootFS(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root,with:signs")
	for _, dir := range []string{"tmp", "etc", "bin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in, err := os.Open(self(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(filepath.Join(root, "bin/program"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere/resolv.conf", filepath.Join(root, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestRootFS(t *testing.T) {
	needRoot(t)
	root, shared := rootFS(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(shared, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{
		RootFS: root, Env: []string{"PATH=/bin", "NSRUN_WRITE=1"}, Dir: "/deep/down",
		Binds: []Bind{{Source: shared, Target: "/deep/down"}, {Source: filepath.Join(shared, "file"), Target: "/run/made/file", ReadOnly: true}, {Source: shared, Target: "/"}},
	}
	want := []string{"bin", "deep", "dev", "etc", "proc", "run", "sys", "tmp"}
	for _, dir := range []string{"/lib", "/lib64", "/usr"} { // with the race detector, tests are linked dynamically
		if _, err := os.Stat(dir); err == nil {
			o.Binds, want = append(o.Binds, Bind{Source: dir, Target: dir, ReadOnly: true}), append(want, dir[1:])
		}
	}
	slices.Sort(want)
	r := reported(t, o, "program")
	outside, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	if r.Resolv != string(outside) || r.Dir != "/deep/down" || r.Written != "<nil>" {
		t.Errorf("%+v", r)
	}
	if !slices.Equal(r.Root, want) {
		t.Errorf("in the root: %v, want %v", r.Root, want)
	}
	o.Resolver, o.NetNS = netip.MustParseAddr("168.63.129.16"), pinned(t)
	if r := reported(t, o, "program"); !strings.Contains(r.Resolv, "nameserver 168.63.129.16") || !slices.Equal(r.Interfaces, []string{"lo"}) {
		t.Errorf("in a network: %+v", r)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 {
		t.Errorf("the root was written to: %v", entries)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/written")); err == nil {
		t.Error("a file was left in the root")
	}
	if left := mounts(t, filepath.Dir(root), shared, "/deep"); len(left) > 0 {
		t.Errorf("mounts were left behind: %v", left)
	}
}

func TestStatus(t *testing.T) {
	needRoot(t)
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	script := func(text string) []string { return []string{sh, "-c", text} }
	folder := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"well", script("true"), 0},
		{"its own", script("exit 42"), 42},
		{"a signal", script("kill -9 $$"), 128 + 9},
		{"not found", []string{"no-such-program"}, 127},
		{"no file", []string{"/no/such/program"}, 127},
		{"a folder", []string{folder}, 126},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, err := Run(t.Context(), Options{Args: c.args, Env: os.Environ()})
			if err != nil || code != c.want {
				t.Errorf("status %d, %v, want %d", code, err, c.want)
			}
		})
	}
	if _, err := Run(t.Context(), Options{}); err == nil {
		t.Error("no command is run without an error")
	}
	if _, err := Run(t.Context(), Options{NetNS: filepath.Join(folder, "none"), Args: script("true")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a namespace that is not there: %v", err)
	}
}

// started makes a named pipe that a program opens when it is ready, and returns what waits for that.
func started(t *testing.T) (path string, wait func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ready")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, f)
		_ = f.Close()
	}
}

func TestSignals(t *testing.T) {
	needRoot(t)
	type result struct {
		code int
		err  error
	}
	for _, c := range []struct {
		name   string
		script string
		end    func(cancel func())
		want   int
	}{
		{"the context's end", `trap 'exit 7' TERM; : > %s; while :; do sleep 0.02; done`, func(cancel func()) { cancel() }, 7},
		{"a signal is passed on", `trap 'exit 8' USR1; : > %s; while :; do sleep 0.02; done`, func(func()) {
			if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
				t.Error(err)
			}
		}, 8},
		// The context ends by the signal, and the program gets that and nothing else.
		{"a signal that ends the context", `trap 'exit 9' HUP; trap 'exit 10' TERM; : > %s; while :; do sleep 0.02; done`, func(func()) {
			if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
				t.Error(err)
			}
		}, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			notified, stop := signal.NotifyContext(t.Context(), syscall.SIGHUP)
			defer stop()
			ctx, cancel := context.WithCancel(notified)
			defer cancel()
			ready, wait := started(t)
			ended := make(chan result, 1)
			go func() {
				code, err := Run(ctx, Options{Args: []string{"sh", "-c", fmt.Sprintf(c.script, ready)}, Env: os.Environ()})
				ended <- result{code, err}
			}()
			wait()
			c.end(cancel)
			select {
			case r := <-ended:
				if r.err != nil || r.code != c.want {
					t.Errorf("status %d, %v, want %d", r.code, r.err, c.want)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the program does not end")
			}
		})
	}
}

func TestOnlyDNS(t *testing.T) {
	for in, want := range map[string]string{
		"passwd: files systemd\nhosts:  files mymachines resolve [!UNAVAIL=return] dns\n": "passwd: files systemd\nhosts: files dns\n",
		"hosts: mdns4_minimal [NOTFOUND=return] myhostname sss":                           "hosts: files myhostname dns",
		"# hosts: resolve\n": "# hosts: resolve\n",
	} {
		if got := onlyDNS(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

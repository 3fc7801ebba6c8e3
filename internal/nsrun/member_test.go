package nsrun

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user who owns nothing here.
const nobody = 65534

// asMember runs a script as somebody else and returns what it prints and its exit status.
func asMember(t *testing.T, m Member, script string) (string, int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	m.Stdio = [3]*os.File{in, w, w}
	m.Args = []string{"sh", "-c", script}
	m.Env = append(m.Env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	type result struct {
		text []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		text, err := io.ReadAll(r)
		read <- result{text, err}
	}()
	code, err := RunMember(m, nil, nil)
	_ = w.Close()
	got := <-read
	if err != nil || got.err != nil {
		t.Fatalf("%v %v", err, got.err)
	}
	return strings.TrimSpace(string(got.text)), code
}

func member() Member {
	return Member{Options: Options{Dir: "/"}, Identity: Identity{UID: nobody, GID: nobody, Groups: []uint32{7, nobody}, Umask: 0o027}}
}

// TestMemberIsNotRoot looks from inside at what the program is and may.
func TestMemberIsNotRoot(t *testing.T) {
	needRoot(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OF_THE_DAEMON", "secret")
	m := member()
	m.NetNS, m.Env = pinned(t), []string{"MINE=1"}
	for _, c := range []struct{ script, want string }{
		{"id -u; id -g; id -G", "65534\n65534\n65534 7"},
		{"umask", "0027"},
		{"grep -E '^(CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs)' /proc/self/status | tr -d '\t'", "CapInh:0000000000000000\nCapPrm:0000000000000000\nCapEff:0000000000000000\nCapAmb:0000000000000000\nNoNewPrivs:1"},
		{"env | grep -vE '^(PWD|OLDPWD|SHLVL|_|PATH)=' | sort", "MINE=1"},
		{"ls /proc/self/fd | tr '\n' ' '", "0 1 2 3"}, // 3 is the folder that ls reads
		{"cat " + secret + " 2>&1 >/dev/null | grep -c denied", "1"},
		{"tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '", "lo"},
		{"unshare --net true 2>&1 | grep -c permitted", "1"},
		{"nsenter --net=/proc/1/ns/net true 2>/dev/null; echo $?", "1"},
	} {
		if got, code := asMember(t, m, c.script); got != c.want || code != 0 {
			t.Errorf("%s: %q (exit %d), want %q", c.script, got, code, c.want)
		}
	}
}

// TestMemberKeepsWhatTheyHad: limits, the exit status, signals, a folder that they may not enter.
func TestMemberKeepsWhatTheyHad(t *testing.T) {
	needRoot(t)
	m := member()
	limits, err := LimitsOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	files := limits[syscall.RLIMIT_NOFILE]
	files.Cur, files.Max = 77, 99
	limits[syscall.RLIMIT_NOFILE] = files
	m.Identity.Limits = limits
	if got, _ := asMember(t, m, "ulimit -Sn; ulimit -Hn"); got != "77\n99" {
		t.Errorf("limits %q", got)
	}
	if _, code := asMember(t, m, "exit 7"); code != 7 {
		t.Errorf("exit status %d", code)
	}
	if _, code := asMember(t, m, "kill -TERM $$"); code != 128+15 {
		t.Errorf("exit status after a signal %d", code)
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	m.Dir = closed
	if got, code := asMember(t, m, "pwd"); code != exitCannot || !strings.Contains(got, "permission denied") {
		t.Errorf("in a folder of root's: %q, exit %d", got, code)
	}
	m.Dir, m.Identity.UID = "/", 0
	if got, code := asMember(t, m, "id -u"); code != exitCannot {
		t.Errorf("as root: %q, exit %d", got, code)
	}
}

// TestMemberHangsUp ends everything of the program when its caller has gone.
func TestMemberHangsUp(t *testing.T) {
	needRoot(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	m := member()
	m.Stdio = [3]*os.File{r, w, w}
	m.Args, m.Env = []string{"sh", "-c", "sleep 1000 & wait"}, []string{"PATH=/usr/bin:/bin"}
	hangup := make(chan struct{})
	close(hangup)
	code, err := RunMember(m, nil, hangup)
	if err != nil || code < 128 {
		t.Errorf("exit %d, %v", code, err)
	}
	_ = w.Close()
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 { // ends only when the last writer has
		t.Errorf("%q %v", rest, err)
	}
}

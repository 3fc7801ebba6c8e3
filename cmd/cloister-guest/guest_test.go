package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"syscall"
)

func TestValidate(t *testing.T) {
	p := func(name string, after ...string) process {
		return process{Name: name, Args: []string{"true"}, After: after}
	}
	for _, c := range []struct {
		what      string
		processes []process
		want      string // part of the error; empty: none
	}{
		{"one after the other", []process{p("a"), p("b", "a")}, ""},
		{"a name twice", []process{p("a"), p("a")}, "taken"},
		{"no name", []process{p("")}, "empty"},
		{"no program", []process{{Name: "a"}}, "no program"},
		{"waits for itself", []process{p("a", "a")}, "does not come before"},
		{"waits for a later one", []process{p("a", "b"), p("b")}, "does not come before"},
		{"not a socket", []process{{Name: "a", Args: []string{"true"}, Ready: "http://x"}}, "unix://"},
	} {
		err := config{Processes: c.processes}.validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

func TestLoadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "node.json")
	if err := os.WriteFile(file, []byte(`{"processes":[{"name":"a","args":["x"],"ready":"unix:///run/a"}],"images":["/i.tar"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(file)
	if err != nil || len(c.Processes) != 1 || c.Processes[0].Ready != "unix:///run/a" || len(c.Images) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := loadConfig(file + "x"); err == nil {
		t.Error("a file that is not there")
	}
}

// children is the reaper of all tests: a second one in the process would take the first one's statuses.
var children = sync.OnceValue(func() *reaper {
	r := newReaper()
	go r.run()
	return r
})

// recorder keeps what is written, and says when something was.
type recorder struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case r.written <- struct{}{}:
	default:
	}
	return r.text.Write(b)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *recorder) until(t *testing.T, ok func(text string) bool) {
	t.Helper()
	for end := time.After(20 * time.Second); !ok(r.String()); {
		select {
		case <-r.written:
		case <-end:
			t.Fatalf("waited in vain; output:\n%s", r)
		}
	}
}

func TestKeep(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	out := &recorder{written: make(chan struct{}, 1)}
	children := children()
	ctx, cancel := context.WithCancel(t.Context())
	c := config{Processes: []process{
		// It is ready only when the socket is there, which the test makes.
		{Name: "first", Args: []string{"sh", "-c", "echo up; exec sleep 1000"}, Ready: "unix://" + socket},
		{Name: "second", Args: []string{"sh", "-c", "echo run; exit 3"}, After: []string{"first"}},
	}}
	n := newNode(c, children, out)
	done := make(chan struct{})
	go func() { n.run(ctx); close(done) }()
	out.until(t, func(s string) bool { return strings.Contains(s, "first| up\n") })
	if strings.Contains(out.String(), "second|") {
		t.Error("the second did not wait for the first")
	}
	listen(t, socket)
	out.until(t, func(s string) bool { return strings.Count(s, "second| run\n") >= 2 }) // started again
	cancel()
	select {
	case <-done:
	case <-time.After(3 * grace):
		t.Fatal("it does not stop")
	}
}

func listen(t *testing.T, path string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 8); err != nil {
		t.Fatal(err)
	}
}

func TestLines(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb\n":                             "x| a\nx| b\n",
		"no end":                             "x| no end\n",
		"":                                   "",
		strings.Repeat("y", longest) + "z\n": "x| " + strings.Repeat("y", longest) + "\nx| z\n",
	} {
		var out bytes.Buffer
		(&lines{w: &out}).copy("x", strings.NewReader(in))
		if out.String() != want {
			t.Errorf("%.20q: %.40q, want %.40q", in, out.String(), want)
		}
	}
}

func TestFillAndName(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	for range 2 {
		if err := fill(hosts, "127.0.0.1\tlocalhost\n"); err != nil {
			t.Fatal(err)
		}
		if err := name(hosts, "node-0"); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(hosts)
	if want := "127.0.0.1\tlocalhost\n127.0.1.1\tnode-0\n"; err != nil || string(b) != want {
		t.Errorf("%q, %v", b, err)
	}
}

func TestLeaf(t *testing.T) {
	root := t.TempDir()
	for file, text := range map[string]string{"cgroup.procs": "1\n0\n27\n", "cgroup.controllers": "cpu memory\n", "cgroup.subtree_control": ""} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The kernel makes the files of a group; here the test does.
	if err := os.Mkdir(filepath.Join(root, "init"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "init", "cgroup.procs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := leaf(root); err != nil {
		t.Fatal(err)
	}
	moved, err := os.ReadFile(filepath.Join(root, "init", "cgroup.procs"))
	if err != nil || string(moved) != "27" { // plain files keep the last that was written
		t.Errorf("moved %q, %v", moved, err)
	}
	given, err := os.ReadFile(filepath.Join(root, "cgroup.subtree_control"))
	if err != nil || !strings.HasPrefix(string(given), "+") {
		t.Errorf("controllers %q, %v", given, err)
	}
}

func TestRemoveEnded(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	file := filepath.Join(t.TempDir(), "current.pem")
	if err := removeEnded(file, now); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, tc := range []struct {
		what  string
		text  []byte
		at    time.Time
		stays bool
	}{
		{"valid", cert, now.Add(time.Minute), true},
		{"ended", cert, now.Add(2 * time.Hour), false},
		{"nothing in it", nil, now, false},
	} {
		if err := os.WriteFile(file, tc.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := removeEnded(file, tc.at); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file); (err == nil) != tc.stays {
			t.Errorf("%s: %v", tc.what, err)
		}
	}
}

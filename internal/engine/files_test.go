package engine

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cloister.dev/cloister/internal/spec"
)

func TestFileNames(t *testing.T) {
	e := &Engine{Options: Options{RunDir: "/run/x"}}
	seen := map[string]string{}
	for _, path := range []string{"/etc/a", "/etc_a", "/etc/a_b", "/etc/a/b", "/etc_/a", "/etc/_a", "/etc%2Fa", "/etc/../a"} {
		got := e.file("w", path)
		if other := seen[got]; other != "" {
			t.Errorf("%s and %s are both %s", path, other, got)
		}
		if filepath.Dir(got) != "/run/x/files/w" {
			t.Errorf("%s leads to %s", path, got)
		}
		seen[got] = path
	}
}

func TestRender(t *testing.T) {
	e := &Engine{Options: Options{RunDir: t.TempDir()}}
	w := spec.Workload{Name: "w", Files: map[string]spec.File{"/a": {Text: "a"}, "/s": {Secret: "x"}, "/m": {Mode: 0o755}}}
	if err := e.render(w, map[string][]byte{"/a": []byte("a"), "/s": nil, "/m": nil}); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{"/a": 0o644, "/s": 0o600, "/m": 0o755} {
		if st, err := os.Stat(e.file("w", path)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %o", path, st, err, mode)
		}
	}
	// What is no longer wanted goes.
	delete(w.Files, "/s")
	if err := e.render(w, map[string][]byte{"/a": []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(e.file("w", "/s")); err == nil {
		t.Error("an old secret is left")
	}
}

func TestHash(t *testing.T) {
	w := spec.Workload{Name: "w", Image: "i", Files: map[string]spec.File{"/a": {Text: "a"}}}
	files := map[string][]byte{"/a": []byte("a"), "/b": []byte("b")}
	first, err := hashOf(w, "", "/run/netns/x", files)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		same   bool
		change func(*spec.Workload, map[string][]byte) string
	}{
		{"nothing", true, func(*spec.Workload, map[string][]byte) string { return "/run/netns/x" }},
		{"stopped", true, func(w *spec.Workload, _ map[string][]byte) string { w.Stopped = true; return "/run/netns/x" }},
		{"arguments", false, func(w *spec.Workload, _ map[string][]byte) string { w.Args = []string{"x"}; return "/run/netns/x" }},
		{"a file", false, func(_ *spec.Workload, f map[string][]byte) string { f["/b"] = []byte("c"); return "/run/netns/x" }},
		{"the network", false, func(*spec.Workload, map[string][]byte) string { return "" }},
	} {
		other, content := w, map[string][]byte{"/a": []byte("a"), "/b": []byte("b")}
		netns := c.change(&other, content)
		got, err := hashOf(other, "", netns, content)
		if err != nil || (got == first) != c.same {
			t.Errorf("%s: %s, %v; first %s, want the same: %t", c.what, got, err, first, c.same)
		}
	}
	if other, err := hashOf(w, "i:2", "/run/netns/x", files); err != nil || other == first {
		t.Errorf("another image: %s, %v", other, err)
	}
}

func TestInstall(t *testing.T) {
	data, from := t.TempDir(), filepath.Join(t.TempDir(), "program")
	content := func() string {
		t.Helper()
		paths, err := install(data, from)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(paths[0]); err != nil || st.Mode().Perm() != 0o755 {
			t.Errorf("%v, %v", st, err)
		}
		return string(b)
	}
	for _, text := range []string{"one", "another"} {
		if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := content(); got != text {
				t.Errorf("%q, want %q", got, text)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Join(data, "bin"))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want the program alone", entries, err)
	}
	if _, err := install(data, from+"x"); err == nil {
		t.Error("a program that is not there")
	}
}

// shared is a buffer that one writes and another reads.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestFollowRotatedLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var out shared
	ended := make(chan error, 1)
	go func() { ended <- CopyLog(ctx, path, true, &out) }()
	until := func(want string) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for end := time.After(10 * time.Second); out.String() != want; {
			select {
			case <-end:
				t.Fatalf("%q, want %q", out.String(), want)
			case <-tick.C:
			}
		}
	}
	until("one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	until("one\ntwo\n")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := CopyLog(t.Context(), path+".no", false, &out); err == nil {
		t.Error("a log that is not there")
	}
}

// TestRefresh: live files change where they lie, others only with a start; and what is not rendered is left to it.
func TestRefresh(t *testing.T) {
	e := &Engine{Options: Options{RunDir: t.TempDir()}}
	w := spec.Workload{Name: "w", Files: map[string]spec.File{"/etc/pki/a.key": {Secret: "x", Live: true}, "/etc/b": {Text: "b"}}}
	old := map[string][]byte{"/etc/pki/a.key": []byte("1"), "/etc/b": []byte("b")}
	if err := e.refresh(w, old); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(e.liveFile("w", "/etc/pki/a.key")); err == nil {
		t.Error("a file came before the start")
	}
	if err := e.render(w, old); err != nil {
		t.Fatal(err)
	}
	mounts, err := e.mounts(w, old)
	if err != nil || len(mounts) != 2 || mounts[1].Destination != "/etc/pki" || mounts[1].Source != filepath.Dir(e.liveFile("w", "/etc/pki/a.key")) {
		t.Fatalf("mounts %+v, %v", mounts, err)
	}
	changed := map[string][]byte{"/etc/pki/a.key": []byte("2"), "/etc/b": []byte("c")}
	if err := e.refresh(w, changed); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{e.liveFile("w", "/etc/pki/a.key"): "2", e.file("w", "/etc/b"): "b"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if st, err := os.Stat(e.liveFile("w", "/etc/pki/a.key")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	renewed := w
	renewed.Renewed = "again"
	one, err1 := hashOf(w, "", "", old)
	two, err2 := hashOf(renewed, "", "", map[string][]byte{"/etc/pki/a.key": []byte("2"), "/etc/b": []byte("b")})
	if err1 != nil || err2 != nil || one != two {
		t.Errorf("a live file makes another container: %v, %v", err1, err2)
	}
	if three, _ := hashOf(w, "", "", changed); three == one {
		t.Error("another file makes no other container")
	}
}

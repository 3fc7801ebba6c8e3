package app

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"cloister.dev/cloister/internal/config"
)

func TestOutdated(t *testing.T) {
	c := config.Default()
	c.RunDir = t.TempDir()
	write := func(path string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remember := func(c config.Config) {
		t.Helper()
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		write(configFile(c), b)
	}
	expect := func(want string) {
		t.Helper()
		if got, err := outdated(c); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	remember(c)
	expect("") // no daemon has written its number
	write(pidFile(c), []byte(strconv.Itoa(os.Getpid())))
	expect("")
	write(pidFile(c), []byte(strconv.Itoa(os.Getppid()))) // the go command
	expect("its program has changed")
	other := c
	other.Listen = "127.0.0.1:8443"
	remember(other)
	expect("its configuration has changed")
	if err := os.Remove(configFile(c)); err != nil {
		t.Fatal(err)
	}
	expect("") // a daemon that nobody's up has started
}

func TestSamePrograms(t *testing.T) {
	dir := t.TempDir()
	path := func(name string, content []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	long := bytes.Repeat([]byte("x"), 200_000)
	changed := bytes.Clone(long)
	changed[150_000] = 'y'
	a := path("a", long)
	for _, v := range []struct {
		other string
		want  bool
	}{{a, true}, {path("copy", long), true}, {path("changed", changed), false}, {path("shorter", long[1:]), false}, {dir + "/none", false}} {
		if got, err := samePrograms(a, v.other); got != v.want || err != nil {
			t.Errorf("%s: %v, %v", v.other, got, err)
		}
	}
}

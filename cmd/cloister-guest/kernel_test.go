package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSettle wants the kubelet's values to be read, and the machine's own to be as they were.
func TestSettle(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root: it mounts")
	}
	sys, dir := t.TempDir(), t.TempDir()
	for name := range kubeletSettings {
		path := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("7\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(sys, name))
		if err != nil {
			t.Error(err)
		}
		return strings.TrimSpace(string(b))
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // given up with its mounts
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = settle(sys, dir)
		}
		if err == nil {
			for name, want := range kubeletSettings {
				if got := read(name); got != want {
					t.Errorf("inside, %s is %s, want %s", name, got, want)
				}
			}
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for name := range kubeletSettings {
		if got := read(name); got != "7" {
			t.Errorf("outside, %s became %s", name, got)
		}
	}
}

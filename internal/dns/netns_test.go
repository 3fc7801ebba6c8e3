package dns

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/spec"
)

// pin makes a network namespace at path in which the resolver's address is on loopback.
func pin(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = home.Close() }()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		err = func() error {
			if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
				return err
			}
			if packet, stream, err := listenBoth(Address + ":53"); err == nil {
				return errors.Join(errors.New("a socket was bound in a namespace without addresses: it would answer from a wrong one"), packet.Close(), stream.Close())
			}
			for _, args := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", Address + "/32", "dev", "lo"}} {
				if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
					return fmt.Errorf("ip %v: %w: %s", args, err, out)
				}
			}
			return nil
		}()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func unpin(t *testing.T, path string) {
	t.Helper()
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
}

// askIn asks the resolver's address from inside the namespace.
func askIn(t *testing.T, netns, name string) (string, error) {
	t.Helper()
	target, err := os.Open(netns)
	if err != nil {
		return "", err
	}
	defer func() { _ = target.Close() }()
	result := make(chan string, 1)
	fail := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			runtime.UnlockOSThread() // but not the process's first one, which would stay in the namespace
			fail <- nil
			return
		}
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			fail <- err
			return
		}
		conn, err := net.DialTimeout("udp4", Address+":53", time.Second)
		if err != nil {
			fail <- err
			return
		}
		defer func() { _ = conn.Close() }()
		m, _, err := (&dns.Client{Timeout: time.Second}).ExchangeWithConn(new(dns.Msg).SetQuestion(name, dns.TypeA), &dns.Conn{Conn: conn})
		if err != nil {
			fail <- err
			return
		}
		result <- text(m)
	}()
	select {
	case r := <-result:
		return r, nil
	case err := <-fail:
		return "", err
	}
}

// TestNamespaces runs the resolver over real network namespaces: one that is there, one that comes
// later, and one that is replaced.
func TestNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root: it makes network namespaces")
	}
	dir := t.TempDir()
	first, late := filepath.Join(dir, "first"), filepath.Join(dir, "late")
	z := zones()
	z.Networks = []spec.ZoneNetwork{{ID: "first", NetNS: first, Zones: []string{"z1"}}, {ID: "late", NetNS: late}}
	pin(t, first)
	there := map[string]bool{first: true}
	t.Cleanup(func() {
		for path := range there {
			unpin(t, path)
		}
	})
	file := filepath.Join(dir, "zones.json")
	if err := Write(file, z); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(t.Context(), Options{File: file, Log: slog.New(slog.DiscardHandler)}) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	until := func(netns, want string) {
		t.Helper()
		deadline := time.Now().Add(patience)
		for {
			got, err := askIn(t, netns, "c-2.guid.privatelink.eastus.azmk8s.io.")
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %q, %v after %s, want %q", filepath.Base(netns), got, err, patience, want)
			}
		}
	}
	until(first, "10.240.0.4")
	pin(t, late)
	there[late] = true
	until(late, "NXDOMAIN")

	unpin(t, first)
	pin(t, first)
	until(first, "10.240.0.4")

	// A network that is gone does not live on by the resolver's sockets.
	id := identityOf(first)
	z.Networks = z.Networks[1:]
	if err := Write(file, z); err != nil {
		t.Fatal(err)
	}
	unpin(t, first)
	delete(there, first)
	deadline := time.Now().Add(patience)
	for usesNamespace(t, id) {
		if time.Now().After(deadline) {
			t.Fatal("a thread of the resolver stays in a network that is gone")
		}
	}
}

// usesNamespace tells whether a thread of this process is in the namespace.
func usesNamespace(t *testing.T, id uint64) bool {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		var st unix.Stat_t
		if unix.Stat(task, &st) == nil && st.Ino == id {
			return true
		}
	}
	return false
}

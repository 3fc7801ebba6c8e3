package httpbound

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

type fakeConn struct {
	net.Conn
	from   string
	closed bool
}

func (f *fakeConn) RemoteAddr() net.Addr { return fakeAddr(f.from + ":1") }
func (f *fakeConn) Close() error         { f.closed = true; return nil }

type fakeAddr string

func (fakeAddr) Network() string  { return "tcp" }
func (a fakeAddr) String() string { return string(a) }

// TestWhoGivesWay: connections without a request go first, then idle ones, never those at work; and of the address that has too many.
func TestWhoGivesWay(t *testing.T) {
	cs := newConnections(6, 3)
	add := func(from string, state http.ConnState) (*fakeConn, *conn, *conn) {
		f := &fakeConn{from: from}
		c, gone := cs.add(f)
		if c != nil {
			cs.changed(c, state)
		}
		return f, c, gone
	}
	_, working, _ := add("192.0.2.1", http.StateActive)
	_, idle, _ := add("192.0.2.1", http.StateIdle)
	_, waits, _ := add("192.0.2.1", http.StateNew)
	if _, c, gone := add("192.0.2.1", http.StateActive); c == nil || gone != waits {
		t.Errorf("%v gave way, want the one that never asked", gone)
	}
	if _, c, gone := add("192.0.2.1", http.StateActive); c == nil || gone != idle {
		t.Errorf("%v gave way, want the idle one", gone)
	}
	if _, c, gone := add("192.0.2.1", http.StateNew); c != nil || gone != nil {
		t.Error("all of this address are at work, and there was room for one more")
	}
	for range 3 {
		if _, c, gone := add("192.0.2.2", http.StateNew); c == nil || gone != nil {
			t.Fatal("no room for another address")
		}
	}
	if _, c, gone := add("192.0.2.3", http.StateNew); c == nil || gone == nil || gone.addr != netip.MustParseAddr("192.0.2.2") {
		t.Errorf("a third address: %v gave way", gone)
	}
	if err := working.Close(); err != nil || len(cs.open) != 5 || cs.addr[working.addr] != 2 {
		t.Errorf("%d open, %v", len(cs.open), cs.addr)
	}
	if err := working.Close(); err != nil || len(cs.open) != 5 {
		t.Errorf("closed twice: %d open, %v", len(cs.open), err)
	}
}

func TestSlots(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	s := newSlots(3, 2, 1)
	ctx := t.Context()
	for _, addr := range []netip.Addr{a, a, b} {
		if err := s.take(ctx, addr, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	turn := make(chan error, 1)
	go func() { turn <- s.take(ctx, a, time.Minute) }()
	for queued := 0; queued == 0; {
		s.mu.Lock()
		queued = len(s.queue)
		s.mu.Unlock()
	}
	if err := s.take(ctx, b, time.Minute); !errors.Is(err, ErrBusy) {
		t.Errorf("a queue that is full: %v", err)
	}
	s.free(b) // a has its share already
	if len(s.queue) != 1 {
		t.Error("more than its share")
	}
	s.free(a)
	if err := <-turn; err != nil {
		t.Error(err)
	}
	if err := s.take(ctx, a, time.Millisecond); !errors.Is(err, ErrBusy) || len(s.queue) != 0 {
		t.Errorf("waited too long: %v", err)
	}
	s.free(a)
	s.free(a)
	if s.taken != 0 || len(s.by) != 0 {
		t.Errorf("%d taken, %v", s.taken, s.by)
	}
}

// TestLargeBodies: what is small is read beside large ones, what is large waits for its turn.
func TestLargeBodies(t *testing.T) {
	g := newGate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if errors.Is(err, ErrBusy) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Header().Set("X-Read", strings.Repeat("x", len(b)/smallBody))
	}))
	g.wait = time.Millisecond
	srv := httptest.NewServer(g)
	defer srv.Close()
	send := func(size int) int {
		resp, err := srv.Client().Post(srv.URL, "text/plain", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := send(3 * smallBody); got != 200 {
		t.Errorf("a large body: %d", got)
	}
	local := netip.MustParseAddr("127.0.0.1")
	for range maxLargeAddr {
		if err := g.large.take(t.Context(), local, 0); err != nil {
			t.Fatal(err)
		}
	}
	if got := send(3 * smallBody); got != http.StatusServiceUnavailable {
		t.Errorf("a large body beside others: %d", got)
	}
	if got := send(smallBody / 2); got != 200 {
		t.Errorf("a small body: %d", got)
	}
	g.large.free(local)
	if got := send(3 * smallBody); got != 200 {
		t.Errorf("a large body with room: %d", got)
	}
}

package httpbound

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// ErrBusy says that too much is asked at once: the same request has a chance later.
var ErrBusy = errors.New("too many requests at once")

// slots are places that are given to those who wait in the order in which they
// came, but to no address more than its share.
type slots struct {
	all, each, waiting int

	mu    sync.Mutex
	taken int
	by    map[netip.Addr]int
	queue []*waiter
}

type waiter struct {
	addr netip.Addr
	turn chan struct{}
}

func newSlots(all, each, waiting int) *slots {
	return &slots{all: all, each: each, waiting: waiting, by: map[netip.Addr]int{}}
}

// take waits for a place, at most for so long: ErrBusy, or ctx's error.
func (s *slots) take(ctx context.Context, addr netip.Addr, wait time.Duration) error {
	s.mu.Lock()
	if s.taken < s.all && s.by[addr] < s.each {
		s.taken++
		s.by[addr]++
		s.mu.Unlock()
		return nil
	}
	if len(s.queue) >= s.waiting {
		s.mu.Unlock()
		return ErrBusy
	}
	w := &waiter{addr, make(chan struct{})}
	s.queue = append(s.queue, w)
	s.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	err := ErrBusy
	select {
	case <-w.turn:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.queue {
		if q == w {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			return err
		}
	}
	return nil // its turn came in the same moment
}

// free gives a place to the first in the queue who may have one.
func (s *slots) free(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.by[addr]--; s.by[addr] == 0 {
		delete(s.by, addr)
	}
	for i, w := range s.queue {
		if s.by[w.addr] < s.each {
			s.taken++
			s.by[w.addr]++
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			close(w.turn)
			return
		}
	}
}

// gate lets so many requests through at once, and fewer with large bodies.
type gate struct {
	next            http.Handler
	requests, large *slots
	wait            time.Duration
}

func newGate(h http.Handler) *gate {
	return &gate{
		next: h, wait: maxWait,
		requests: newSlots(maxRequests, maxRequestsAddr, maxWaiting),
		large:    newSlots(maxLarge, maxLargeAddr, maxRequests),
	}
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	addr := addressOf(r.RemoteAddr)
	if err := g.requests.take(r.Context(), addr, g.wait); err != nil {
		h := w.Header()
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Set("Retry-After", "5")
		h.Set("X-Ms-Error-Code", "TooManyRequests")
		h.Set("Connection", "close")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"error":{"code":"TooManyRequests","message":"Too many requests of this client wait for an answer. Send fewer at once, and this one again."}}`))
		return
	}
	defer g.requests.free(addr)
	if r.Body != nil && r.Body != http.NoBody {
		b := &body{ReadCloser: r.Body, gate: g, writer: w, request: r, addr: addr}
		defer b.release()
		r.Body = b
	}
	g.next.ServeHTTP(w, r)
}

package httpbound

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// connections counts those that are open. When there are too many, the one that
// has waited longest without a complete request gives way, then the one that has been
// idle longest: whoever only opens connections pushes out its own.
type connections struct {
	max, maxAddr int

	mu   sync.Mutex
	open map[*conn]struct{}
	addr map[netip.Addr]int
}

func newConnections(all, addr int) *connections {
	return &connections{max: all, maxAddr: addr, open: map[*conn]struct{}{}, addr: map[netip.Addr]int{}}
}

// conn is one connection. State and since are guarded by connections.mu.
type conn struct {
	net.Conn
	of    *connections
	addr  netip.Addr
	state http.ConnState
	since time.Time
}

// Close closes the connection and forgets it.
func (c *conn) Close() error {
	c.of.mu.Lock()
	c.of.forget(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

func (cs *connections) forget(c *conn) {
	if _, ok := cs.open[c]; !ok {
		return
	}
	delete(cs.open, c)
	if cs.addr[c.addr]--; cs.addr[c.addr] == 0 {
		delete(cs.addr, c.addr)
	}
}

// add counts a connection, nil: there is no room. It also returns the one that gives way, to be closed.
func (cs *connections) add(inner net.Conn) (added, gone *conn) {
	c := &conn{Conn: inner, of: cs, addr: addressOf(inner.RemoteAddr().String()), since: time.Now()}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case cs.addr[c.addr] >= cs.maxAddr:
		gone = cs.oldest(func(o *conn) bool { return o.addr == c.addr })
	case len(cs.open) >= cs.max:
		gone = cs.oldest(func(*conn) bool { return true })
	default:
		cs.open[c] = struct{}{}
		cs.addr[c.addr]++
		return c, nil
	}
	if gone == nil {
		return nil, nil // all are at work
	}
	cs.forget(gone)
	cs.open[c] = struct{}{}
	cs.addr[c.addr]++
	return c, gone
}

// oldest finds who gives way among those that are meant; nil: none.
func (cs *connections) oldest(meant func(*conn) bool) *conn {
	var found *conn
	for c := range cs.open {
		if c.state != http.StateNew && c.state != http.StateIdle || !meant(c) {
			continue
		}
		if found == nil || c.state < found.state || c.state == found.state && c.since.Before(found.since) {
			found = c
		}
	}
	return found
}

// changed is http.Server.ConnState.
func (cs *connections) changed(nc net.Conn, state http.ConnState) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.state, c.since = state, time.Now()
}

type listener struct {
	net.Listener
	connections *connections
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, gone := l.connections.add(inner)
		if gone != nil {
			_ = gone.Conn.Close()
		}
		if c != nil {
			return c, nil
		}
		_ = inner.Close()
	}
}

// addressOf is the IP address in an address with a port; the zero address for others.
func addressOf(text string) netip.Addr {
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

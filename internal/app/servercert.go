package app

import (
	"crypto/tls"
	"net/netip"
	"sync"
	"time"

	"cloister.dev/cloister/internal/tlsca"
)

// certificates makes the endpoint's certificate anew after two thirds of its life. It is never on disk.
type certificates struct {
	ca    *tlsca.Authority
	addrs []netip.Addr
	clock func() time.Time

	mu  sync.Mutex
	now *tls.Certificate
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil && c.now.Leaf.NotAfter.Sub(c.clock()) > tlsca.Lifetime/3 {
		return c.now, nil
	}
	cert, err := c.ca.Issue(c.clock(), []string{"arm." + tlsca.Domain, "localhost"}, c.addrs)
	if err != nil {
		return nil, err
	}
	c.now = cert
	return cert, nil
}

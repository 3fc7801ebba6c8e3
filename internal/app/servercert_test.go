package app

import (
	"crypto/x509"
	"net/netip"
	"testing"
	"time"

	"cloister.dev/cloister/internal/tlsca"
)

// TestServerCertificateIsRenewed moves the clock: whoever connects gets a certificate with a third of its life left, at least.
func TestServerCertificateIsRenewed(t *testing.T) {
	addr := netip.MustParseAddr("127.0.0.1")
	ca, err := tlsca.Open(t.TempDir(), []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	now, seen := time.Now(), map[string]bool{}
	c := &certificates{ca: ca, clock: func() time.Time { return now }, addrs: []netip.Addr{addr}}
	for range 365 {
		cert, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, DNSName: addr.String()}); err != nil {
			t.Fatal(err)
		}
		if left := cert.Leaf.NotAfter.Sub(now); left < tlsca.Lifetime/3 {
			t.Fatalf("only %s are left", left)
		}
		seen[cert.Leaf.SerialNumber.String()] = true
		now = now.Add(24 * time.Hour)
	}
	if len(seen) < 6 || len(seen) > 7 {
		t.Errorf("%d certificates in a year", len(seen))
	}
}

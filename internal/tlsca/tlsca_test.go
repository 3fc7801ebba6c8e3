package tlsca

import (
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAuthorityIsKeptAndLimited(t *testing.T) {
	dir := t.TempDir()
	pool := netip.MustParsePrefix("198.51.100.0/24")
	a, err := Open(dir, []netip.Prefix{pool})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, []netip.Prefix{pool})
	if err != nil || !again.Cert.Equal(a.Cert) {
		t.Fatalf("a second Open gave another authority (%v)", err)
	}
	if st, err := os.Stat(filepath.Join(dir, "ca.key")); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v %v", st, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(again.Cert)
	for name, c := range map[string]struct {
		names []string
		addrs []netip.Addr
		ok    bool
	}{
		"its own":         {[]string{"arm." + Domain}, []netip.Addr{netip.MustParseAddr("198.51.100.2")}, true},
		"another domain":  {[]string{"login.example.com"}, nil, false},
		"another address": {nil, []netip.Addr{netip.MustParseAddr("192.0.2.1")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			cert, err := again.Issue(time.Now(), c.names, c.addrs)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots}); (err == nil) != c.ok {
				t.Fatalf("verify: %v, want ok %v", err, c.ok)
			}
		})
	}
}

// TestAuthorityIsRenewed: near its end the authority gets a new certificate, which clients that have either take.
func TestAuthorityIsRenewed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	prefixes := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	first, err := open(dir, prefixes, now)
	if err != nil {
		t.Fatal(err)
	}
	later := now.Add(authorityLifetime - authorityLifetime/3 + time.Hour)
	second, err := open(dir, prefixes, later)
	if err != nil || second.Cert.Equal(first.Cert) || second.Cert.NotAfter.Sub(later) < authorityLifetime/2 {
		t.Fatalf("it ends at %v, %v", second.Cert.NotAfter, err)
	}
	cert, err := second.Issue(later, []string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, trusted := range []*Authority{first, second} {
		roots := x509.NewCertPool()
		roots.AddCert(trusted.Cert)
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: later, DNSName: "localhost"}); err != nil {
			t.Error(err)
		}
	}
	third, err := open(dir, prefixes, later)
	if err != nil || !third.Cert.Equal(second.Cert) {
		t.Errorf("renewed twice: %v", err)
	}
}

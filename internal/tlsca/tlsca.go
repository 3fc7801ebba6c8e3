// Package tlsca is Cloister's own certificate authority: one root per
// installation, limited by name constraints to Cloister's names and addresses,
// so that trusting it opens nothing else.
package tlsca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"cloister.dev/cloister/internal/atomicfile"
)

// Domain is the only DNS domain that the authority may sign for, besides localhost.
const Domain = "cloister.internal"

// Authority signs server certificates.
type Authority struct {
	Cert *x509.Certificate
	PEM  []byte
	key  *ecdsa.PrivateKey
}

// authorityLifetime is how long the authority's own certificate is valid.
const authorityLifetime = 10 * 365 * 24 * time.Hour

// Open reads the authority in dir, or makes it: ca.pem and ca.key (mode 0600).
// The prefixes are the addresses that it may sign for. After two thirds of its
// life it gets another certificate for the same name and key: who trusts the
// old one trusts what it signs until that one ends.
func Open(dir string, prefixes []netip.Prefix) (*Authority, error) {
	return open(dir, prefixes, time.Now())
}

func open(dir string, prefixes []netip.Prefix, now time.Time) (*Authority, error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	certPEM, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		return create(certFile, keyFile, prefixes, now)
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authority in %s: %w", dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("certificate authority in %s: the key is not an ECDSA key", dir)
	}
	if pair.Leaf.NotAfter.Sub(now) < authorityLifetime/3 {
		return write(certFile, key, prefixes, now)
	}
	return &Authority{Cert: pair.Leaf, PEM: certPEM, key: key}, nil
}

func create(certFile, keyFile string, prefixes []netip.Prefix, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(certFile), 0o755); err != nil {
		return nil, err
	}
	// The key first: a certificate on disk means that its key is there, too.
	if err := atomicfile.Write(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return nil, err
	}
	return write(certFile, key, prefixes, now)
}

// write makes the authority's certificate and writes it.
func write(certFile string, key *ecdsa.PrivateKey, prefixes []netip.Prefix, now time.Time) (*Authority, error) {
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Cloister local authority", Organization: []string{"Cloister"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{Domain, "localhost"},
	}
	for _, p := range prefixes {
		tmpl.PermittedIPRanges = append(tmpl.PermittedIPRanges, &net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())})
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a := &Authority{PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key: key}
	if a.Cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, atomicfile.Write(certFile, a.PEM, 0o644)
}

// Lifetime is how long a server's certificate is valid.
const Lifetime = 90 * 24 * time.Hour

// Issue makes a server certificate for the names and addresses, valid for Lifetime from now on.
func (a *Authority) Issue(now time.Time, names []string, addrs []netip.Addr) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Cloister"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(Lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: names,
	}
	for _, ip := range addrs {
		tmpl.IPAddresses = append(tmpl.IPAddresses, ip.AsSlice())
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.Cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.Cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // the system has no randomness: nothing can go on
	}
	return n
}

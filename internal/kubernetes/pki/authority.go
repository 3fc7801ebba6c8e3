// Package pki makes the certificates and keys of one hosted cluster, as text in
// PEM, as Kubernetes' components read them:
// https://kubernetes.io/docs/setup/best-practices/certificates/
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"
)

// How long certificates are valid. RenewAt says when it is time for new ones.
const (
	authorityLifetime = 30 * 365 * 24 * time.Hour
	clockSkew         = time.Hour // at most; clients' clocks may be behind by so much
)

// Lifetime is how long certificates are valid unless somebody says otherwise.
const Lifetime = 2 * 365 * 24 * time.Hour

// Pair is a certificate and its private key, both PEM.
type Pair struct{ Cert, Key string }

// Authority signs the certificates of one cluster.
type Authority struct {
	Pair
	// Life is how long its certificates are valid.
	Life time.Duration
	cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority makes a root with an ECDSA key.
func NewAuthority(name string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(authorityLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	pair, err := sign(t, t, key, key)
	if err != nil {
		return nil, err
	}
	return LoadAuthority(pair, Lifetime)
}

// LoadAuthority reads a root that NewAuthority made. It signs certificates that are valid for life.
func LoadAuthority(p Pair, life time.Duration) (*Authority, error) {
	pair, err := tls.X509KeyPair([]byte(p.Cert), []byte(p.Key))
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("certificate authority: not one")
	}
	return &Authority{Pair: p, Life: life, cert: pair.Leaf, key: key}, nil
}

// Client issues a certificate that names a user and its groups to the API server.
func (a *Authority) Client(now time.Time, user string, groups ...string) (Pair, error) {
	return a.issue(now, &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// Server issues a certificate for host names and addresses. Empty names and
// invalid addresses are left out.
func (a *Authority) Server(now time.Time, subject pkix.Name, names []string, addrs []netip.Addr) (Pair, error) {
	t := &x509.Certificate{
		Subject:     subject,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if n != "" {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	for _, ip := range addrs {
		if ip.IsValid() {
			t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
		}
	}
	return a.issue(now, t)
}

func (a *Authority) issue(now time.Time, t *x509.Certificate) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	t.NotBefore, t.NotAfter = now.Add(-min(clockSkew, a.Life/20)), now.Add(a.Life)
	if t.NotAfter.After(a.cert.NotAfter) {
		t.NotAfter = a.cert.NotAfter
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	return sign(t, a.cert, key, a.key)
}

func sign(t, parent *x509.Certificate, key *ecdsa.PrivateKey, signer crypto.Signer) (Pair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return Pair{}, err
	}
	t.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), Key: keyPEM}, nil
}

func encodeKey(key any) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// RenewAt is when a certificate is to be made anew: after two thirds of its life,
// so that a third is left for whoever is away. For text that is none it is the zero time.
func RenewAt(certPEM string) time.Time {
	block, _ := pem.Decode([]byte(certPEM))
	if block == nil {
		return time.Time{}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) / 3 * 2)
}

func renew(certPEM string, now time.Time) bool { return !now.Before(RenewAt(certPEM)) }

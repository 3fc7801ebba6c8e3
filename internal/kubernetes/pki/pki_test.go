package pki

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"slices"
	"testing"
	"time"

	"cloister.dev/cloister/internal/spec"
)

var (
	now     = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	cluster = spec.Cluster{
		Name: "abcdefghij", Endpoint: netip.MustParseAddr("10.240.0.4"), ServiceCIDR: netip.MustParsePrefix("10.2.0.0/24"),
		PrivateFQDN: "prod-1234abcd.zone.privatelink.eastus.azmk8s.io",
	}
	node = spec.Node{Name: "aks-nodepool1-12345678-vmss000000", Address: netip.MustParseAddr("10.240.0.5")}
)

func parse(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM in %q", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func verify(t *testing.T, ca, cert, name string, usage x509.ExtKeyUsage) error {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(parse(t, ca))
	_, err := parse(t, cert).Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func ensure(t *testing.T, old *Cluster, c spec.Cluster, at time.Time) (*Cluster, bool) {
	t.Helper()
	s, changed, err := EnsureCluster(old, c, at, Lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return s, changed
}

func TestServerNames(t *testing.T) {
	s, _ := ensure(t, nil, cluster, now)
	for _, name := range []string{
		"kubernetes", "kubernetes.default.svc.cluster.local", "localhost",
		"127.0.0.1", "10.2.0.1", "10.240.0.4", cluster.PrivateFQDN,
	} {
		if err := verify(t, s.CACert, s.ServerCert, name, x509.ExtKeyUsageServerAuth); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verify(t, s.CACert, s.ServerCert, "10.240.0.5", x509.ExtKeyUsageServerAuth) == nil {
		t.Error("the certificate covers an address that is not the API server's")
	}
}

func TestIdentities(t *testing.T) {
	s, _ := ensure(t, nil, cluster, now)
	n, _, err := s.EnsureNode(nil, node, now, Lifetime)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, ca, cert, user string
		groups               []string
	}{
		{"admin", s.CACert, s.AdminCert, AdminUser, []string{AdminGroup}},
		{"user", s.CACert, s.UserCert, UserName, []string{UserGroup}},
		{"scheduler", s.CACert, s.SchedulerCert, "system:kube-scheduler", nil},
		{"aggregator", s.FrontProxyCA, s.AggregatorCert, "front-proxy-client", nil},
		{"kubelet", s.CACert, n.ClientCert, "system:node:" + node.Name, []string{"system:nodes"}},
		{"kube-proxy", s.CACert, n.ProxyCert, "system:kube-proxy", nil},
	} {
		if err := verify(t, c.ca, c.cert, "", x509.ExtKeyUsageClientAuth); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		subject := parse(t, c.cert).Subject
		if subject.CommonName != c.user || !slices.Equal(subject.Organization, c.groups) {
			t.Errorf("%s is %s, want user %s, groups %v", c.name, subject, c.user, c.groups)
		}
	}
	if verify(t, s.CACert, s.AggregatorCert, "", x509.ExtKeyUsageClientAuth) == nil {
		t.Error("the front proxy's certificate is one of the cluster's own authority")
	}
	for _, name := range []string{node.Name, node.Address.String()} {
		if err := verify(t, s.CACert, n.ServerCert, name, x509.ExtKeyUsageServerAuth); err != nil {
			t.Errorf("kubelet as %s: %v", name, err)
		}
	}
}

func TestEnsureCluster(t *testing.T) {
	first, changed := ensure(t, nil, cluster, now)
	if !changed {
		t.Error("new secrets are no change")
	}
	if again, changed := ensure(t, first, cluster, now.Add(time.Hour)); changed || again != first {
		t.Error("nothing asked for other secrets, and they changed")
	}

	renamed := cluster
	renamed.PublicFQDN = "prod-0a0a0a0a.hcp.eastus.azmk8s.io"
	s, changed := ensure(t, first, renamed, now)
	if !changed || s.CACert != first.CACert {
		t.Error("another name needs another certificate of the same authority")
	}
	if err := verify(t, s.CACert, s.ServerCert, renamed.PublicFQDN, x509.ExtKeyUsageServerAuth); err != nil {
		t.Error(err)
	}

	if s, changed = ensure(t, first, cluster, now.Add(Lifetime/3*2)); !changed || s.AdminCert == first.AdminCert {
		t.Error("certificates close to their end are not renewed")
	}

	rotated := cluster
	rotated.CertificateGeneration = 1
	if s, changed = ensure(t, first, rotated, now); !changed || s.CACert == first.CACert || s.FrontProxyCA == first.FrontProxyCA {
		t.Error("another generation has the same authorities")
	}
	if s.ServiceAccountKey != first.ServiceAccountKey {
		t.Error("another generation ends the tokens of pods")
	}
}

func TestEnsureNode(t *testing.T) {
	s, _ := ensure(t, nil, cluster, now)
	first, _, err := s.EnsureNode(nil, node, now, Lifetime)
	if err != nil {
		t.Fatal(err)
	}
	if _, changed, _ := s.EnsureNode(first, node, now, Lifetime); changed {
		t.Error("nothing asked for other secrets, and they changed")
	}
	moved := node
	moved.Address = netip.MustParseAddr("10.240.0.99")
	if _, changed, _ := s.EnsureNode(first, moved, now, Lifetime); !changed {
		t.Error("another address needs another serving certificate")
	}
	other, _ := ensure(t, nil, cluster, now)
	if _, changed, _ := other.EnsureNode(first, node, now, Lifetime); !changed {
		t.Error("another authority needs other certificates")
	}
}

func TestLoadAuthorityRefusesLeaf(t *testing.T) {
	s, _ := ensure(t, nil, cluster, now)
	if _, err := LoadAuthority(Pair{s.ServerCert, s.ServerKey}, Lifetime); err == nil {
		t.Error("a server's certificate passed as an authority")
	}
}

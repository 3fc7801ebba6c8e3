package pki

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"cloister.dev/cloister/internal/spec"
)

// EnsureCluster returns the secrets that c needs, and whether they differ from
// old (nil: there are none). A new certificate generation has new authorities,
// so that every earlier kubeconfig ends; the service account key stays, because
// pods hold its tokens. Other names or addresses, and the approaching end of a
// certificate, make new certificates of the same authorities.
func EnsureCluster(old *Cluster, c spec.Cluster, now time.Time) (s *Cluster, changed bool, err error) {
	generation := fmt.Sprint(c.CertificateGeneration)
	purpose := strings.Join([]string{generation, c.Endpoint.String(), c.PrivateFQDN, c.PublicFQDN, c.ServiceCIDR.String()}, "|")
	if old == nil {
		s, err = NewCluster(c, purpose, now)
		return s, true, err
	}
	if before, _, _ := strings.Cut(old.For, "|"); before != generation {
		if s, err = NewCluster(c, purpose, now); err != nil {
			return nil, false, err
		}
		s.ServiceAccountKey, s.ServiceAccountPub = old.ServiceAccountKey, old.ServiceAccountPub
		return s, true, nil
	}
	if old.For == purpose && !Renew(old.ServerCert, now) {
		return old, false, nil
	}
	next := *old
	return &next, true, next.Issue(c, purpose, now)
}

// EnsureNode is EnsureCluster for a node of the cluster s.
func (s *Cluster) EnsureNode(old *Node, n spec.Node, now time.Time) (node *Node, changed bool, err error) {
	purpose := n.Name + "|" + n.Address.String() + "|" + Fingerprint(s.CACert)
	if old != nil && old.For == purpose && !Renew(old.ServerCert, now) {
		return old, false, nil
	}
	node, err = s.NewNode(n, purpose, now)
	return node, true, err
}

// Fingerprint is a short name of texts: two lists of texts with the same
// fingerprint are the same.
func Fingerprint(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d:%s", len(t), t)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

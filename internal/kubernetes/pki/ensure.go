package pki

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cloister.dev/cloister/internal/spec"
)

// EnsureCluster returns the secrets that c needs, and whether they differ from
// old (nil: there are none). A new certificate generation has new authorities,
// so that every earlier kubeconfig ends; the service account key stays, because
// pods hold its tokens. Other names or addresses, and the approaching end of a
// certificate, make new certificates of the same authorities. All of them are
// made at once, so that one says when the others end; life is how long they are valid.
func EnsureCluster(old *Cluster, c spec.Cluster, now time.Time, life time.Duration) (s *Cluster, changed bool, err error) {
	purpose := strings.Join([]string{strconv.FormatInt(c.CertificateGeneration, 10), c.Endpoint.String(), c.PrivateFQDN, c.PublicFQDN, c.ServiceCIDR.String()}, "|")
	if old == nil {
		s, err = NewCluster(c, purpose, now, life)
		return s, true, err
	}
	if old.Generation() != c.CertificateGeneration {
		if s, err = NewCluster(c, purpose, now, life); err != nil {
			return nil, false, err
		}
		s.ServiceAccountKey, s.ServiceAccountPub = old.ServiceAccountKey, old.ServiceAccountPub
		return s, true, nil
	}
	if old.For == purpose && !renew(old.ServerCert, now) {
		return old, false, nil
	}
	next := *old
	return &next, true, next.Issue(c, purpose, now, life)
}

// Generation is the certificate generation that the authorities are of.
func (s *Cluster) Generation() int64 {
	text, _, _ := strings.Cut(s.For, "|")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1 // of none: made anew
	}
	return n
}

// EnsureNode is EnsureCluster for a node of the cluster s.
func (s *Cluster) EnsureNode(old *Node, n spec.Node, now time.Time, life time.Duration) (node *Node, changed bool, err error) {
	purpose := n.Name + "|" + n.Address.String() + "|" + Fingerprint(s.CACert)
	if old != nil && old.For == purpose && !renew(old.ServerCert, now) {
		return old, false, nil
	}
	node, err = s.NewNode(n, purpose, now, life)
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

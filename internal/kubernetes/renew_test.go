package kubernetes

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// TestRenewal moves the clock through four lives of a cluster's certificates: they are made anew in time, by the
// same authority, and nothing asks for a workload to be started anew.
func TestRenewal(t *testing.T) {
	s := storetest.New(t)
	now := time.Now()
	m := New(t.Context(), Options{Store: s, Log: slog.New(slog.DiscardHandler), Host: testHost, CertificateLifetime: 30 * 24 * time.Hour,
		Dial: func(context.Context, string) (net.Conn, error) { return nil, errors.New("nobody is there") }})
	m.now = func() time.Time { return now }
	clusterKey, nodeKey := spec.ClusterKey(testCluster.Name), spec.NodeKey(testNode.Cluster, testNode.Name)
	commitTx(t, s, new(store.Tx).Put(clusterKey, testCluster).Put(nodeKey, testNode))
	workloads := []string{"cp-" + testCluster.Name, "etcd-" + testCluster.Name, nodeWorkload(testNode.Cluster, testNode.Name)}
	var (
		first map[string]spec.Workload
		certs = map[string]bool{}
	)
	for range 120 {
		if _, err := m.reconcileCluster(t.Context(), clusterKey); err != nil {
			t.Fatal(err)
		}
		if _, err := m.reconcileNode(t.Context(), nodeKey); err != nil {
			t.Fatal(err)
		}
		cluster, _ := read[pki.Cluster](t, s, pkiSecretKey(testCluster.Name))
		node, _ := read[pki.Node](t, s, nodeSecretKey(testNode.Cluster, testNode.Name))
		for what, cert := range map[string]string{"API server": cluster.ServerCert, "administrator": cluster.AdminCert, "front proxy": cluster.AggregatorCert, "kubelet": node.ServerCert, "kube-proxy": node.ProxyCert} {
			// RenewAt leaves a third: what is not due yet is valid for ten days more.
			if !now.Before(pki.RenewAt(cert)) {
				t.Fatalf("%s: its certificate is old", what)
			}
		}
		certs[cluster.ServerCert] = true
		have := map[string]spec.Workload{}
		for _, name := range workloads {
			w, _ := read[spec.Workload](t, s, spec.WorkloadKey(name))
			w.Renewed = ""
			have[name] = w
		}
		if first == nil {
			first = have
		}
		for name, w := range have {
			a, b := documentText(t, first[name]), documentText(t, w)
			if a != b {
				t.Fatalf("%s was to be made anew: %s, %s", name, a, b)
			}
		}
		now = now.Add(24 * time.Hour)
	}
	if len(certs) < 6 || len(certs) > 7 {
		t.Errorf("%d certificates in 120 days", len(certs))
	}
}

// TestRenewalIsAwaited: the reconciler comes back when a short life is two thirds over.
func TestRenewalIsAwaited(t *testing.T) {
	m := New(t.Context(), Options{CertificateLifetime: 6 * time.Minute})
	ca, err := pki.NewAuthority("x", m.now())
	if err != nil {
		t.Fatal(err)
	}
	ca.Life = m.CertificateLifetime
	pair, err := ca.Client(m.now(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if after := m.renewal(pair.Cert).After; after < 3*time.Minute || after > 4*time.Minute {
		t.Errorf("after %s", after)
	}
}

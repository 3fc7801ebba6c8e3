package kubernetes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/url"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// servingRequest is what the test node's kubelet asks for.
func servingRequest() x509.CertificateRequest {
	return x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: nodeUserPrefix + testNode.Name, Organization: []string{nodesGroup}},
		DNSNames: []string{testNode.Name}, IPAddresses: []net.IP{testNode.Address.AsSlice()},
	}
}

func signedRequest(t *testing.T, r x509.CertificateRequest) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &r, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestCheckRequest(t *testing.T) {
	own := nodeUserPrefix + testNode.Name
	node := func() *spec.Node { n := testNode; return &n }
	type asked struct {
		x509   x509.CertificateRequest
		user   string
		groups []string
		usages []certificatesv1.KeyUsage
		node   *spec.Node
	}
	for what, c := range map[string]struct {
		change func(*asked)
		ok     bool
	}{
		"its own":             {func(*asked) {}, true},
		"the address only":    {func(a *asked) { a.x509.DNSNames = nil }, true},
		"nothing":             {func(a *asked) { a.x509.DNSNames, a.x509.IPAddresses = nil, nil }, false},
		"another name":        {func(a *asked) { a.x509.DNSNames = append(a.x509.DNSNames, "kubernetes.default") }, false},
		"another address":     {func(a *asked) { a.x509.IPAddresses = append(a.x509.IPAddresses, net.IPv4(10, 240, 0, 4)) }, false},
		"a URI":               {func(a *asked) { a.x509.URIs = []*url.URL{{Scheme: "spiffe", Host: "x"}} }, false},
		"another's subject":   {func(a *asked) { a.x509.Subject.CommonName = nodeUserPrefix + "other" }, false},
		"an administrator":    {func(a *asked) { a.x509.Subject.Organization = []string{nodesGroup, "system:masters"} }, false},
		"a client":            {func(a *asked) { a.usages = append(a.usages, certificatesv1.UsageClientAuth) }, false},
		"another node asks":   {func(a *asked) { a.user = nodeUserPrefix + "other" }, false},
		"a person asks":       {func(a *asked) { a.user, a.groups = "masterclient", []string{"system:masters"} }, false},
		"without the group":   {func(a *asked) { a.groups = nil }, false},
		"no such node":        {func(a *asked) { a.node = nil }, false},
		"a node that leaves":  {func(a *asked) { a.node.Removing = true }, false},
		"the address changed": {func(a *asked) { a.node.Address = a.node.Address.Next() }, false},
	} {
		a := asked{servingRequest(), own, []string{nodesGroup, "system:authenticated"}, []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth}, node()}
		c.change(&a)
		csr := &certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: certificatesv1.KubeletServingSignerName, Username: a.user, Groups: a.groups, Usages: a.usages, Request: signedRequest(t, a.x509),
		}}
		if err := checkRequest(csr, a.node); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	if checkRequest(&certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{Username: own, Groups: []string{nodesGroup}}}, node()) == nil {
		t.Error("no request at all was approved")
	}
}

// TestRequestsAreAnswered follows requests through a session: what is a node's own is approved, the rest denied.
func TestRequestsAreAnswered(t *testing.T) {
	s := storetest.New(t)
	api := newFakeAPI(t, s)
	wrong := servingRequest()
	wrong.DNSNames = []string{"kubernetes"}
	for name, r := range map[string]x509.CertificateRequest{"good": servingRequest(), "bad": wrong} {
		api.requests[name] = map[string]any{
			"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": map[string]any{"name": name},
			"spec": map[string]any{
				"signerName": certificatesv1.KubeletServingSignerName, "username": nodeUserPrefix + testNode.Name, "groups": []any{nodesGroup},
				"usages": []any{"digital signature", "server auth"}, "request": base64.StdEncoding.EncodeToString(signedRequest(t, r)),
			},
		}
	}
	start(t, s, api.dial)
	commitTx(t, s, new(store.Tx).Put(spec.ClusterKey(testCluster.Name), testCluster).Put(spec.NodeKey(testNode.Cluster, testNode.Name), testNode))
	got := map[string]string{}
	for range 2 {
		select {
		case a := <-api.answered:
			got[a[0]] = a[1]
		case <-time.After(20 * time.Second):
			t.Fatal("no answer")
		}
	}
	if got["good"] != "Approved" || got["bad"] != "Denied" {
		t.Errorf("answers %v", got)
	}
}

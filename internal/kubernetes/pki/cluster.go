package pki

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net/netip"
	"time"

	"cloister.dev/cloister/internal/spec"
)

// Users and groups of the certificates that people get. The names are AKS's.
const (
	AdminUser  = "masterclient"
	AdminGroup = "system:masters"
	UserName   = "clusterUser"
	UserGroup  = "cloister:cluster-users"
)

// serviceAccountKeyBits: tokens are verified by workloads elsewhere, too, and RSA is what all of them take.
const serviceAccountKeyBits = 2048

// Cluster is everything secret of one cluster: a document of PEM texts, whose
// names are the fields that workloads' files name.
type Cluster struct {
	// For is what the certificates were made for; another value asks for new ones.
	For string `json:"for"`

	CACert          string `json:"ca.crt"`
	CAKey           string `json:"ca.key"`
	FrontProxyCA    string `json:"front-proxy-ca.crt"`
	FrontProxyCAKey string `json:"front-proxy-ca.key"`
	// The service account keys sign and verify the tokens of pods.
	ServiceAccountKey string `json:"sa.key"`
	ServiceAccountPub string `json:"sa.pub"`

	ServerCert     string `json:"apiserver.crt"`
	ServerKey      string `json:"apiserver.key"`
	KubeletCert    string `json:"kubelet-client.crt"` // the API server to the kubelets
	KubeletKey     string `json:"kubelet-client.key"`
	AggregatorCert string `json:"front-proxy-client.crt"` // the API server to aggregated ones
	AggregatorKey  string `json:"front-proxy-client.key"`
	ManagerCert    string `json:"controller-manager.crt"`
	ManagerKey     string `json:"controller-manager.key"`
	SchedulerCert  string `json:"scheduler.crt"`
	SchedulerKey   string `json:"scheduler.key"`
	CloisterCert   string `json:"cloister.crt"` // Cloister itself, for add-ons and nodes
	CloisterKey    string `json:"cloister.key"`
	AdminCert      string `json:"admin.crt"`
	AdminKey       string `json:"admin.key"`
	UserCert       string `json:"user.crt"`
	UserKey        string `json:"user.key"`
	MetricsCert    string `json:"metrics-server.crt"` // metrics-server's own serving certificate
	MetricsKey     string `json:"metrics-server.key"`
}

// NewCluster makes authorities, keys and certificates of c. purpose is kept in For.
func NewCluster(c spec.Cluster, purpose string, now time.Time, life time.Duration) (*Cluster, error) {
	ca, err := NewAuthority("kubernetes", now)
	if err != nil {
		return nil, err
	}
	front, err := NewAuthority("front-proxy", now)
	if err != nil {
		return nil, err
	}
	s := &Cluster{CACert: ca.Cert, CAKey: ca.Key, FrontProxyCA: front.Cert, FrontProxyCAKey: front.Key}
	if s.ServiceAccountKey, s.ServiceAccountPub, err = signingKey(); err != nil {
		return nil, err
	}
	return s, s.Issue(c, purpose, now, life)
}

// Issue makes every certificate anew, valid for life and signed by the authorities that s has.
// Tokens, and certificates of before, stay valid.
func (s *Cluster) Issue(c spec.Cluster, purpose string, now time.Time, life time.Duration) error {
	ca, err := LoadAuthority(Pair{s.CACert, s.CAKey}, life)
	if err != nil {
		return err
	}
	front, err := LoadAuthority(Pair{s.FrontProxyCA, s.FrontProxyCAKey}, life)
	if err != nil {
		return err
	}
	service := c.ServiceCIDR.Masked().Addr().Next()
	server := func() (Pair, error) {
		return ca.Server(now, pkix.Name{CommonName: "kube-apiserver"}, []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			"localhost", c.PrivateFQDN, c.PublicFQDN,
		}, []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), service, c.Endpoint})
	}
	client := func(of *Authority, user string, groups ...string) func() (Pair, error) {
		return func() (Pair, error) { return of.Client(now, user, groups...) }
	}
	metrics := func() (Pair, error) {
		return ca.Server(now, pkix.Name{CommonName: "metrics-server"}, []string{"metrics-server.kube-system.svc"}, nil)
	}
	for _, leaf := range []struct {
		cert, key *string
		make      func() (Pair, error)
	}{
		{&s.ServerCert, &s.ServerKey, server},
		{&s.MetricsCert, &s.MetricsKey, metrics},
		{&s.KubeletCert, &s.KubeletKey, client(ca, "kube-apiserver-kubelet-client", "cloister:kubelet-clients")},
		{&s.AggregatorCert, &s.AggregatorKey, client(front, "front-proxy-client")},
		// The controllers share one process with the API server and the
		// authority's key: accounts of their own would separate nothing.
		{&s.ManagerCert, &s.ManagerKey, client(ca, "system:kube-controller-manager", AdminGroup)},
		{&s.SchedulerCert, &s.SchedulerKey, client(ca, "system:kube-scheduler")},
		{&s.CloisterCert, &s.CloisterKey, client(ca, "cloister", AdminGroup)},
		{&s.AdminCert, &s.AdminKey, client(ca, AdminUser, AdminGroup)},
		{&s.UserCert, &s.UserKey, client(ca, UserName, UserGroup)},
	} {
		pair, err := leaf.make()
		if err != nil {
			return err
		}
		*leaf.cert, *leaf.key = pair.Cert, pair.Key
	}
	s.For = purpose
	return nil
}

// Public is the part that the resource provider reads for kubeconfigs.
func (s *Cluster) Public() spec.ClusterSecrets {
	return spec.ClusterSecrets{
		CA: s.CACert, AdminCert: s.AdminCert, AdminKey: s.AdminKey, UserCert: s.UserCert, UserKey: s.UserKey,
	}
}

func signingKey() (private, public string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, serviceAccountKeyBits)
	if err != nil {
		return "", "", err
	}
	if private, err = encodeKey(key); err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

// Node is everything secret of one node.
type Node struct {
	For        string `json:"for"`
	CACert     string `json:"ca.crt"`
	ClientCert string `json:"kubelet-client.crt"` // system:node:<name>, group system:nodes
	ClientKey  string `json:"kubelet-client.key"`
	ServerCert string `json:"kubelet.crt"` // for the node's name and address
	ServerKey  string `json:"kubelet.key"`
	ProxyCert  string `json:"kube-proxy.crt"`
	ProxyKey   string `json:"kube-proxy.key"`
}

// NewNode makes the certificates of a node of the cluster s. The two of the kubelet
// are those that it begins with: it asks the cluster for later ones itself.
func (s *Cluster) NewNode(n spec.Node, purpose string, now time.Time, life time.Duration) (*Node, error) {
	ca, err := LoadAuthority(Pair{s.CACert, s.CAKey}, life)
	if err != nil {
		return nil, err
	}
	client, err1 := ca.Client(now, "system:node:"+n.Name, "system:nodes")
	proxy, err2 := ca.Client(now, "system:kube-proxy")
	// With any other subject the kubelet would ask for a new one at once.
	subject := pkix.Name{CommonName: "system:node:" + n.Name, Organization: []string{"system:nodes"}}
	server, err3 := ca.Server(now, subject, []string{n.Name}, []netip.Addr{n.Address})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return &Node{
		For: purpose, CACert: s.CACert,
		ClientCert: client.Cert, ClientKey: client.Key,
		ServerCert: server.Cert, ServerKey: server.Key,
		ProxyCert: proxy.Cert, ProxyKey: proxy.Key,
	}, nil
}

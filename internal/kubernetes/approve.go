package kubernetes

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	"cloister.dev/cloister/internal/spec"
)

// What a kubelet is in a request:
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
const (
	nodeUserPrefix = "system:node:"
	nodesGroup     = "system:nodes"
)

// watchRequests prepares the session's watch of kubelets' requests for serving
// certificates. Those for client certificates the cluster approves itself.
func (m *Manager) watchRequests(s *session) error {
	source := cache.NewListWatchFromClient(s.certificates.RESTClient(), "certificatesigningrequests", metav1.NamespaceAll,
		fields.OneTermEqualSelector("spec.signerName", certificatesv1.KubeletServingSignerName))
	s.requests = cache.NewSharedIndexInformer(source, &certificatesv1.CertificateSigningRequest{}, 0, cache.Indexers{})
	asked := func(obj any) {
		if csr, ok := obj.(*certificatesv1.CertificateSigningRequest); ok && len(csr.Status.Conditions) == 0 {
			m.answerRequest(s, csr)
		}
	}
	_, err := s.requests.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: asked, UpdateFunc: func(_, obj any) { asked(obj) }})
	return err
}

// answerRequest approves or denies a kubelet's request. A kubelet asks again when it hears nothing.
func (m *Manager) answerRequest(s *session, csr *certificatesv1.CertificateSigningRequest) {
	ctx, cancel := context.WithTimeout(m.ctx, time.Minute)
	defer cancel()
	n, _, err := get[spec.Node](ctx, m.Store, spec.NodeKey(s.cluster.Name, strings.TrimPrefix(csr.Spec.Username, nodeUserPrefix)))
	if err == nil {
		answer := certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue,
			Reason: "CloisterApproved", Message: "The request is the node's own, for its name and address.",
		}
		if wrong := checkRequest(csr, n); wrong != nil {
			answer.Type, answer.Reason, answer.Message = certificatesv1.CertificateDenied, "CloisterDenied", wrong.Error()
		}
		m.Log.InfoContext(ctx, "a node asks for a serving certificate", "cluster", s.cluster.Name, "user", csr.Spec.Username, "answer", answer.Type, "reason", answer.Message)
		csr = csr.DeepCopy()
		csr.Status.Conditions = append(csr.Status.Conditions, answer)
		_, err = s.certificates.CertificateSigningRequests().UpdateApproval(ctx, csr.Name, csr, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	if err != nil && !gone(err) && !apierrors.IsConflict(err) && ctx.Err() == nil {
		m.Log.WarnContext(ctx, "answer a node's request for a certificate", "cluster", s.cluster.Name, "request", csr.Name, "error", err)
	}
}

// checkRequest is nil for a request that a node of ours makes for itself: its
// own user, and no name or address that is not its own. n is the node that the user names, nil: there is none.
func checkRequest(csr *certificatesv1.CertificateSigningRequest, n *spec.Node) error {
	if n == nil || csr.Spec.Username != nodeUserPrefix+n.Name || !slices.Contains(csr.Spec.Groups, nodesGroup) {
		return fmt.Errorf("%q is no node of this cluster", csr.Spec.Username)
	}
	if n.Removing {
		return errors.New("the node is being removed")
	}
	for _, u := range csr.Spec.Usages {
		switch u {
		case certificatesv1.UsageServerAuth, certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment:
		default:
			return fmt.Errorf("a serving certificate is not for %q", u)
		}
	}
	block, _ := pem.Decode(csr.Spec.Request)
	if block == nil {
		return errors.New("the request is not PEM")
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return err
	}
	switch {
	case r.Subject.CommonName != csr.Spec.Username || !slices.Equal(r.Subject.Organization, []string{nodesGroup}):
		return fmt.Errorf("the subject %s is not the node's", r.Subject)
	case len(r.EmailAddresses) > 0 || len(r.URIs) > 0:
		return errors.New("a node has no mail address and no URI")
	case len(r.DNSNames)+len(r.IPAddresses) == 0:
		return errors.New("the request names neither a name nor an address")
	}
	for _, name := range r.DNSNames {
		if name != n.Name {
			return fmt.Errorf("%q is not the node's name", name)
		}
	}
	for _, ip := range r.IPAddresses {
		if a, _ := netip.AddrFromSlice(ip); a.Unmap() != n.Address {
			return fmt.Errorf("%s is not the node's address", ip)
		}
	}
	return nil
}

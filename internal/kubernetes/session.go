package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	certificatesv1client "k8s.io/client-go/kubernetes/typed/certificates/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// How a session asks whether its API server is there.
const (
	startInterval = 100 * time.Millisecond // while it starts
	checkInterval = 10 * time.Second       // once it answered
	checkTimeout  = 5 * time.Second
	checkFailures = 3 // in a row that make it away
)

// session is the manager's connection to one API server: it waits for the
// server, sets the add-ons and watches the nodes.
type session struct {
	cluster spec.Cluster
	secrets *pki.Cluster
	config  *rest.Config
	core    *corev1client.CoreV1Client
	dynamic *dynamic.DynamicClient
	nodes   cache.SharedIndexInformer

	certificates *certificatesv1client.CertificatesV1Client
	requests     cache.SharedIndexInformer // of certificates

	ctx    context.Context // ends with the session
	ready  chan struct{}   // closed when the API server answered for the first time
	cancel context.CancelFunc
}

// startSession has a session with the cluster's control plane, with the given secrets.
func (m *Manager) startSession(c spec.Cluster, secrets *pki.Cluster) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[c.Name]; s != nil {
		if s.cluster == c && *s.secrets == *secrets {
			return
		}
		s.cancel()
	}
	ctx, cancel := context.WithCancel(m.ctx)
	s := &session{cluster: c, secrets: secrets, ctx: ctx, ready: make(chan struct{}), cancel: cancel}
	m.sessions[c.Name] = s
	m.wg.Go(func() {
		if err := m.runSession(ctx, s); ctx.Err() == nil {
			m.Log.ErrorContext(ctx, "session with a control plane", "cluster", c.Name, "error", err)
		}
	})
}

func (m *Manager) endSession(cluster string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[cluster]; s != nil {
		s.cancel()
		delete(m.sessions, cluster)
	}
}

// session returns the session with a cluster whose API server has answered; nil: there is none.
func (m *Manager) session(cluster string) *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[cluster]
	if s == nil {
		return nil
	}
	select {
	case <-s.ready:
		return s
	default:
		return nil
	}
}

func (m *Manager) runSession(ctx context.Context, s *session) error {
	if err := m.connect(s); err != nil {
		return err
	}
	if err := m.waitReady(ctx, s); err != nil {
		return err
	}
	close(s.ready)
	if err := m.retry(ctx, s, "report the API server", m.reportReady); err != nil {
		return err
	}
	m.wg.Go(func() { s.nodes.RunWithContext(ctx) })
	m.wg.Go(func() { s.requests.RunWithContext(ctx) })
	m.wg.Go(func() { m.firstLook(ctx, s) })
	if err := m.retry(ctx, s, "apply the add-ons", m.applyAddons); err != nil {
		return err
	}
	return m.check(ctx, s)
}

// connect makes the clients. They all come in by the sandbox, whatever their URL says.
func (m *Manager) connect(s *session) error {
	sandbox := SandboxName(s.cluster.Name)
	s.config = &rest.Config{
		Host: "https://" + s.cluster.ServerName(), UserAgent: "cloister", QPS: -1,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return m.Dial(ctx, sandbox) },
		TLSClientConfig: rest.TLSClientConfig{
			ServerName: s.cluster.ServerName(), CAData: []byte(s.secrets.CACert),
			CertData: []byte(s.secrets.CloisterCert), KeyData: []byte(s.secrets.CloisterKey),
		},
		WarningHandler: rest.NoWarnings{},
	}
	client, err := rest.HTTPClientFor(s.config)
	if err != nil {
		return err
	}
	if s.core, err = corev1client.NewForConfigAndClient(s.config, client); err != nil {
		return err
	}
	if s.dynamic, err = dynamic.NewForConfigAndClient(s.config, client); err != nil {
		return err
	}
	if s.certificates, err = certificatesv1client.NewForConfigAndClient(s.config, client); err != nil {
		return err
	}
	return errors.Join(m.watchNodes(s), m.watchRequests(s))
}

// waitReady returns when the API server is ready, and pods can be made in it.
func (m *Manager) waitReady(ctx context.Context, s *session) error {
	for {
		err := s.ask(ctx)
		if err == nil {
			_, err = s.core.ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		}
		if err == nil {
			return nil
		}
		if err := pause(ctx, startInterval); err != nil {
			return err
		}
	}
}

// ask asks the API server whether it is ready.
func (s *session) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return s.core.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

func (m *Manager) reportReady(ctx context.Context, s *session) error {
	system, err := s.core.Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return err
	}
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := s.getJSON(ctx, "/version", &v); err != nil {
		return err
	}
	return m.setClusterStatus(ctx, s.cluster.Name, func(st *spec.ClusterStatus) {
		st.APIReady, st.Message = true, ""
		st.Version, st.UID = v.GitVersion, string(system.UID)
		st.CertificateGeneration = s.cluster.CertificateGeneration
	})
}

// check asks from time to time, and reports when the answer changes, until ctx ends.
func (m *Manager) check(ctx context.Context, s *session) error {
	for failures := 0; ; {
		if err := pause(ctx, checkInterval); err != nil {
			return err
		}
		err := s.ask(ctx)
		switch {
		case err == nil && failures >= checkFailures:
			err = m.reportReady(ctx, s)
			fallthrough
		case err == nil:
			failures = 0
		default:
			if failures++; failures != checkFailures {
				continue
			}
			message := "the API server does not answer: " + err.Error()
			err = m.setClusterStatus(ctx, s.cluster.Name, func(st *spec.ClusterStatus) { st.APIReady, st.Message = false, message })
		}
		if err != nil && ctx.Err() == nil {
			m.Log.WarnContext(ctx, "status of a control plane", "cluster", s.cluster.Name, "error", err)
		}
	}
}

// retry calls f until it succeeds or ctx ends, with growing pauses.
func (m *Manager) retry(ctx context.Context, s *session, what string, f func(context.Context, *session) error) error {
	for wait := startInterval; ; wait = min(2*wait, checkInterval) {
		err := f(ctx, s)
		if err == nil || errors.Is(err, store.ErrNotFound) { // the cluster has gone: its session ends soon
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, store.ErrConflict) {
			m.Log.WarnContext(ctx, what, "cluster", s.cluster.Name, "error", err)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (s *session) getJSON(ctx context.Context, path string, v any) error {
	b, err := s.core.RESTClient().Get().AbsPath(path).Do(ctx).Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// pause waits for d, or returns the error of ctx when it ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// gone says whether err means that the object is not there (any more).
func gone(err error) bool { return apierrors.IsNotFound(err) }

package kubernetes

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/client-go/kubernetes/scheme"

	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/store"
)

// fakeAPI is as much of an API server as a session asks for: health, version,
// one namespace, one service account, nodes that can be watched, pods, volumes, and
// server-side apply of anything.
type fakeAPI struct {
	store  store.Store
	mu     sync.Mutex
	server *httptest.Server // nil until somebody connects

	nodes   map[string]map[string]any
	pods    map[string]map[string]any // by name, all in the namespace default
	volumes map[string]map[string]any
	applied []string // paths
	evicted []string
	watches []chan map[string]any
	deleted chan string // names of nodes

	requests map[string]map[string]any // for certificates
	answered chan [2]string            // name of a request, type of the answer
}

// newFakeAPI makes one. It ends after what is started later in the test: while
// somebody may still connect, a server cannot close.
func newFakeAPI(t *testing.T, s store.Store) *fakeAPI {
	t.Helper()
	f := &fakeAPI{store: s, nodes: map[string]map[string]any{}, pods: map[string]map[string]any{}, volumes: map[string]map[string]any{}, deleted: make(chan string, 10), requests: map[string]map[string]any{}, answered: make(chan [2]string, 10)}
	t.Cleanup(func() {
		if f.server != nil {
			f.server.CloseClientConnections()
			f.server.Close()
		}
	})
	return f
}

// dial connects to it. It serves from the first call on, with the certificate that the store has for the cluster.
func (f *fakeAPI) dial(ctx context.Context, sandbox string) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server == nil {
		var s pki.Cluster
		if _, err := f.store.Get(ctx, pkiSecretKey(strings.TrimPrefix(sandbox, "cp-")), &s); err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair([]byte(s.ServerCert), []byte(s.ServerKey))
		if err != nil {
			return nil, err
		}
		f.server = httptest.NewUnstartedServer(f)
		f.server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert}
		f.server.StartTLS()
	}
	return new(net.Dialer).DialContext(ctx, "tcp", f.server.Listener.Addr().String())
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, name := r.URL.Path, path.Base(r.URL.Path)
	node := strings.HasPrefix(p, "/api/v1/nodes/")
	switch {
	case p == "/readyz":
		answer(w, "ok")
	case p == "/version":
		answer(w, map[string]any{"gitVersion": "v1.37.1"})
	case p == "/api/v1/namespaces/kube-system":
		answer(w, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "kube-system", "uid": "the-uid"}})
	case p == "/api/v1/namespaces/default/serviceaccounts/default":
		answer(w, map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "default"}})
	case strings.HasSuffix(p, "/approval"):
		body, _ := io.ReadAll(r.Body)
		object, _, _ := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil) // it may be protobuf
		csr, ok := object.(*certificatesv1.CertificateSigningRequest)
		if !ok || len(csr.Status.Conditions) != 1 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		f.answered <- [2]string{csr.Name, string(csr.Status.Conditions[0].Type)}
		answer(w, f.requests[path.Base(path.Dir(p))])
	case strings.HasSuffix(p, "/certificatesigningrequests"):
		f.certificateRequests(w, r)
	case p == "/api/v1/nodes" && r.URL.Query().Get("watch") != "":
		f.watch(w, r)
	case p == "/api/v1/nodes":
		answer(w, list("NodeList", f.nodes))
	case p == "/api/v1/pods":
		answer(w, list("PodList", f.pods))
	case p == "/api/v1/persistentvolumes":
		answer(w, list("PersistentVolumeList", f.volumes))
	case strings.HasPrefix(p, "/api/v1/persistentvolumes/") && r.Method == http.MethodDelete:
		delete(f.volumes, name)
		answer(w, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Success"})
	case strings.HasSuffix(p, "/eviction"):
		name = path.Base(path.Dir(p))
		f.evicted = append(f.evicted, name)
		delete(f.pods, name)
		answer(w, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Success"})
	case node && f.nodes[name] == nil:
		w.WriteHeader(http.StatusNotFound)
		answer(w, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})
	case node && r.Method == http.MethodDelete:
		gone := f.nodes[name]
		delete(f.nodes, name)
		f.send("DELETED", gone)
		f.deleted <- name
		answer(w, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Success"})
	case node && r.Method == http.MethodPatch:
		f.patchNode(w, r, name)
	case r.Method == http.MethodPatch:
		f.applied = append(f.applied, p)
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer(w, body)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (f *fakeAPI) patchNode(w http.ResponseWriter, r *http.Request, name string) {
	var patch struct {
		Metadata struct{ Labels map[string]any }
		Spec     struct{ Unschedulable bool }
	}
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	meta := f.nodes[name]["metadata"].(map[string]any)
	if patch.Metadata.Labels != nil {
		owned := map[string]any{}
		for k := range patch.Metadata.Labels {
			owned["f:"+k] = map[string]any{}
		}
		meta["labels"] = patch.Metadata.Labels
		meta["managedFields"] = []any{map[string]any{
			"manager": r.URL.Query().Get("fieldManager"), "operation": "Apply", "fieldsType": "FieldsV1",
			"fieldsV1": map[string]any{"f:metadata": map[string]any{"f:labels": owned}},
		}}
	}
	if patch.Spec.Unschedulable {
		f.nodes[name]["spec"] = map[string]any{"unschedulable": true}
	}
	f.send("MODIFIED", f.nodes[name])
	answer(w, f.nodes[name])
}

// setNode adds or changes a node.
func (f *fakeAPI) setNode(name string, ready bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	status := "False"
	if ready {
		status = "True"
	}
	if f.nodes[name] == nil {
		f.nodes[name] = map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": name}}
	}
	f.nodes[name]["status"] = map[string]any{
		"nodeInfo":   map[string]any{"kubeletVersion": "v1.37.1"},
		"conditions": []any{map[string]any{"type": "Ready", "status": status, "lastHeartbeatTime": "2026-11-01T12:00:00Z"}},
	}
	f.send("MODIFIED", f.nodes[name])
}

// send tells the watchers; the lock is held.
func (f *fakeAPI) send(kind string, object map[string]any) {
	for _, w := range f.watches {
		w <- map[string]any{"type": kind, "object": object}
	}
}

// watch streams changes after the nodes that are there; the lock is held.
func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request) {
	changes := make(chan map[string]any, 100)
	f.watches = append(f.watches, changes)
	flush := w.(http.Flusher).Flush
	enc := json.NewEncoder(w)
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for _, n := range f.nodes {
			_ = enc.Encode(map[string]any{"type": "ADDED", "object": n})
		}
		_ = enc.Encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{
			"apiVersion": "v1", "kind": "Node",
			"metadata": map[string]any{"resourceVersion": "1", "annotations": map[string]any{"k8s.io/initial-events-end": "true"}},
		}})
	}
	flush()
	f.mu.Unlock()
	defer f.mu.Lock()
	for {
		select {
		case <-r.Context().Done():
			return
		case c := <-changes:
			f.mu.Lock()
			_ = enc.Encode(c)
			f.mu.Unlock()
			flush()
		}
	}
}

// certificateRequests lists them, or sends those that are there and then nothing more; the lock is held.
func (f *fakeAPI) certificateRequests(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "" {
		all := list("CertificateSigningRequestList", f.requests)
		all["apiVersion"] = "certificates.k8s.io/v1"
		answer(w, all)
		return
	}
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for _, request := range f.requests {
			answer(w, map[string]any{"type": "ADDED", "object": request})
		}
		answer(w, map[string]any{"type": "BOOKMARK", "object": map[string]any{
			"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
			"metadata": map[string]any{"resourceVersion": "1", "annotations": map[string]any{"k8s.io/initial-events-end": "true"}},
		}})
	}
	w.(http.Flusher).Flush()
	f.mu.Unlock()
	defer f.mu.Lock()
	<-r.Context().Done()
}

func list(kind string, items map[string]map[string]any) map[string]any {
	all := []any{}
	for _, n := range items {
		all = append(all, n)
	}
	return map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"resourceVersion": "1"}, "items": all}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// node is a look at a node under the lock.
func (f *fakeAPI) node(name string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, _ := json.Marshal(f.nodes[name])
	var n map[string]any
	_ = json.Unmarshal(b, &n)
	return n
}

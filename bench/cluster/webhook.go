package cluster

import (
	"context"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cloister.dev/cloister/bench/figure"
	"cloister.dev/cloister/bench/proc"
	"cloister.dev/cloister/internal/fabric"
	"cloister.dev/cloister/internal/kubernetes/pki"
)

const (
	hooked      = 1000 // objects of a batch
	hookWorkers = 8    // that create them at the same time
	hookRounds  = 5
	hookPort    = 8443 // of the program hello
	hookReady   = 2 * time.Minute
)

// hooks are the namespaces of the two webhooks, by who asks them: a pod by the way back through the private link, and a process
// in the API server's own network namespace. Rounds alternate.
var hooks = []string{"inside", "beside"}

// webhook has an API server ask one webhook about each object of a batch, and another that stands beside it.
func (m *measurement) webhook(ctx context.Context) error {
	if m.Hello == "" {
		return nil
	}
	if err := m.small(ctx, "hook"); err != nil {
		return err
	}
	err := m.batches(ctx)
	return errors.Join(err, m.instance.remove(ctx, "hook"))
}

func (m *measurement) batches(ctx context.Context) (err error) {
	found := planes()
	if len(found) != 1 {
		return fmt.Errorf("%d control planes run, not one", len(found))
	}
	run := filepath.Join(m.instance.dir, "run")
	f, err := fabric.New(fabric.Options{RunDir: run})
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	config, err := credentials(ctx, m.instance.azure, m.instance.group("hook")+"/providers/Microsoft.ContainerService/managedClusters/c")
	if err != nil {
		return err
	}
	k := &kube{server: "https://plane", client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: config, MaxIdleConnsPerHost: hookWorkers,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return f.Dial(ctx, found[0], "tcp", "127.0.0.1:443")
		},
	}}}
	defer k.client.CloseIdleConnections()
	authority, err := pki.NewAuthority("bench", time.Now())
	if err != nil {
		return err
	}
	pair, err := authority.Server(time.Now(), pkix.Name{CommonName: "hook"}, []string{"hook.default.svc"}, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		return err
	}
	beside, err := m.hookBeside(filepath.Join(run, "netns", found[0]), pair)
	if err != nil {
		return err
	}
	defer beside.Stop()
	if err := hookObjects(ctx, k, authority.Cert, pair); err != nil {
		return err
	}
	seconds := map[string][]float64{}
	for round := range hookRounds + 1 { // the first one is not counted
		for _, space := range hooks {
			took, err := batch(ctx, k, space, round)
			if err != nil {
				return err
			}
			if round > 0 {
				seconds[space] = append(seconds[space], took.Seconds())
			}
		}
	}
	m.report.Add(figure.Row{Name: fmt.Sprintf("%d objects through a validating webhook in a pod", hooked), Value: figure.Percentile(seconds["inside"], 0.5), Unit: "s",
		Peer: "webhook beside the API server", Other: figure.Percentile(seconds["beside"], 0.5), Reach: figure.Reach{Most: 1.3}, Note: fmt.Sprintf("median of %d, %d at a time", hookRounds, hookWorkers)})
	return nil
}

// hookBeside starts the webhook in a network namespace.
func (m *measurement) hookBeside(namespace string, pair pki.Pair) (*proc.Process, error) {
	dir, err := os.MkdirTemp(m.instance.dir, "hook")
	if err != nil {
		return nil, err
	}
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if err := errors.Join(os.WriteFile(cert, []byte(pair.Cert), 0o600), os.WriteFile(key, []byte(pair.Key), 0o600)); err != nil {
		return nil, err
	}
	return proc.Start(proc.Options{Core: -1, Dir: dir, Log: filepath.Join(dir, "log")}, "nsenter", "--net="+namespace, m.Hello, "webhook", cert, key)
}

type object = map[string]any

// hookObjects makes the pod, and a namespace and a configuration for each webhook; it returns when both refuse what they should.
func hookObjects(ctx context.Context, k *kube, authority string, pair pki.Pair) error {
	const core = "/api/v1/namespaces"
	labels := object{"app": "hook"}
	type step struct {
		path string
		body object
	}
	steps := []step{
		{core + "/default/secrets", object{"metadata": object{"name": "hook"}, "stringData": object{"tls.crt": pair.Cert, "tls.key": pair.Key}}},
		{core + "/default/services", object{"metadata": object{"name": "hook"}, "spec": object{"selector": labels, "ports": []any{object{"port": 443, "targetPort": hookPort}}}}},
		{core + "/default/pods", object{"metadata": object{"name": "hook", "labels": labels}, "spec": object{
			"containers": []any{object{"name": "hook", "image": "cloister.internal/hello:1", "imagePullPolicy": "IfNotPresent", "args": []string{"webhook", "/tls/tls.crt", "/tls/tls.key"},
				"readinessProbe": object{"periodSeconds": 1, "httpGet": object{"path": "/ready", "port": hookPort, "scheme": "HTTPS"}}, "volumeMounts": []any{object{"name": "tls", "mountPath": "/tls"}}}},
			"volumes": []any{object{"name": "tls", "secret": object{"secretName": "hook"}}}}}},
	}
	ca := base64.StdEncoding.EncodeToString([]byte(authority))
	for _, space := range hooks {
		client := object{"caBundle": ca}
		if space == "inside" {
			client["service"] = object{"namespace": "default", "name": "hook", "path": "/validate"}
		} else {
			client["url"] = fmt.Sprintf("https://127.0.0.1:%d/validate", hookPort)
		}
		steps = append(steps, step{core, object{"metadata": object{"name": space}}}, step{"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", object{
			"metadata": object{"name": space}, "webhooks": []any{object{
				"name": space + ".bench.example", "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": []string{"v1"}, "clientConfig": client,
				"namespaceSelector": object{"matchLabels": object{"kubernetes.io/metadata.name": space}},
				"rules":             []any{object{"operations": []string{"CREATE"}, "apiGroups": []string{""}, "apiVersions": []string{"v1"}, "resources": []string{"configmaps"}}},
			}}}})
	}
	for _, s := range steps {
		if err := k.post(ctx, s.path, s.body); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, hookReady)
	defer cancel()
	for _, space := range hooks {
		for n := 0; ; n++ {
			if err := k.post(ctx, core+"/"+space+"/configmaps", object{"metadata": object{"name": fmt.Sprint("try-", n)}}); err == nil {
				err = k.post(ctx, core+"/"+space+"/configmaps", object{"metadata": object{"name": "no", "labels": object{"hello": "no"}}})
				if err == nil {
					err = k.do(ctx, http.MethodDelete, core+"/"+space+"/configmaps/no", nil, nil)
				} else {
					break // admits and refuses: it is asked
				}
				if err != nil {
					return err
				}
			}
			if err := wait(ctx); err != nil {
				return fmt.Errorf("the webhook of %s is not asked: %w", space, err)
			}
		}
	}
	return nil
}

func (k *kube) post(ctx context.Context, path string, body object) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return k.do(ctx, http.MethodPost, path, b, nil)
}

// batch creates the objects of a round and deletes them; the time is that of the creates.
func batch(ctx context.Context, k *kube, space string, round int) (time.Duration, error) {
	path := "/api/v1/namespaces/" + space + "/configmaps"
	names := make(chan int)
	failed := make(chan error, hookWorkers)
	var workers sync.WaitGroup
	begin := time.Now()
	for range hookWorkers {
		workers.Go(func() {
			for n := range names {
				if err := k.post(ctx, path, object{"metadata": object{"name": fmt.Sprintf("b%d-%d", round, n), "labels": object{"batch": "yes"}}}); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
	for n := 0; n < hooked && err == nil; n++ {
		select {
		case names <- n:
		case err = <-failed:
		}
	}
	close(names)
	workers.Wait()
	took := time.Since(begin)
	if err == nil && len(failed) > 0 {
		err = <-failed
	}
	if err == nil {
		err = k.do(ctx, http.MethodDelete, path+"?labelSelector=batch%3Dyes", nil, nil)
	}
	return took, err
}

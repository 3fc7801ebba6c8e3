package cluster

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"cloister.dev/cloister/bench/proc"
)

// Ports on loopback of the script's programs.
const (
	scriptAPI, scriptEtcd, scriptPeer = 16443, 12379, 12380
)

// script is a control plane as a script starts it: etcd, API server, controller manager and
// scheduler as processes of their own with upstream's defaults, all at once.
type script struct {
	dir       string
	processes []*proc.Process
	apiReady  time.Duration // from the start until /readyz says so
}

// Programs that the script starts.
type programs struct{ etcd, kube string }

func startScript(ctx context.Context, p programs) (s *script, err error) {
	dir, err := os.MkdirTemp("/var/tmp", "script") // where the instance's etcd writes, too
	if err != nil {
		return nil, err
	}
	s = &script{dir: dir}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	api := fmt.Sprintf("https://127.0.0.1:%d", scriptAPI)
	const token = "bench-only-on-loopback"
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return s, err
	}
	kubeconfig := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}]\nusers: [{name: u, user: {token: %s}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\n", api, token)
	for name, text := range map[string][]byte{
		"sa.key": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		"tokens": []byte(token + ",admin,admin,system:masters\n"), "kubeconfig": []byte(kubeconfig),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return s, err
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	etcdURL, peerURL := fmt.Sprintf("http://127.0.0.1:%d", scriptEtcd), fmt.Sprintf("http://127.0.0.1:%d", scriptPeer)
	begin := time.Now()
	for _, args := range [][]string{
		{p.etcd, "--data-dir=" + at("etcd"), "--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL, "--listen-peer-urls=" + peerURL,
			"--initial-advertise-peer-urls=" + peerURL, "--initial-cluster=default=" + peerURL, "--log-level=warn"},
		{p.kube, "kube-apiserver", "--etcd-servers=" + etcdURL, fmt.Sprintf("--secure-port=%d", scriptAPI), "--bind-address=127.0.0.1", "--cert-dir=" + at("certs"),
			"--service-account-key-file=" + at("sa.key"), "--service-account-signing-key-file=" + at("sa.key"), "--service-account-issuer=https://kubernetes.default.svc",
			"--token-auth-file=" + at("tokens"), "--authorization-mode=Node,RBAC", "--service-cluster-ip-range=10.2.0.0/24", "--allow-privileged=true"},
		{p.kube, "kube-controller-manager", "--kubeconfig=" + at("kubeconfig"), "--service-account-private-key-file=" + at("sa.key"), "--cert-dir=" + at("certs-cm"), "--bind-address=127.0.0.1", "--use-service-account-credentials"},
		{p.kube, "kube-scheduler", "--kubeconfig=" + at("kubeconfig"), "--cert-dir=" + at("certs-sched"), "--bind-address=127.0.0.1"},
	} {
		one, err := proc.Start(proc.Options{Core: -1, Dir: dir, Log: at(fmt.Sprintf("%d.log", len(s.processes)))}, args...)
		if err != nil {
			return s, err
		}
		s.processes = append(s.processes, one)
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // on loopback
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	err = s.processes[1].Until(ctx, func() bool { return healthy(ctx, client, api+"/readyz") })
	s.apiReady = time.Since(begin)
	return s, err
}

func healthy(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	return errors.Join(resp.Body.Close()) == nil && resp.StatusCode == http.StatusOK
}

func (s *script) pids() []int {
	var out []int
	for _, p := range s.processes {
		out = append(out, p.PID)
	}
	return out
}

func (s *script) stop() {
	for i := len(s.processes) - 1; i >= 0; i-- {
		s.processes[i].Stop()
	}
	_ = os.RemoveAll(s.dir)
}

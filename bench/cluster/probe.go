package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"cloister.dev/cloister/bench/azure"
)

// RoleProbe is the benchmark's program inside a virtual network, where it sees what a client there sees.
const RoleProbe = "cluster-probe"

// task is what a probe watches; it is in a file, and Seen comes to be in another beside it.
type task struct {
	Base, Token string
	Cluster     string   // id
	Addresses   []string // where the endpoint may be
	Nodes       int      // how many have to be Ready
	Pod         bool     // start a pod and wait for its answer
}

// seen are the moments at which the probe saw something first; zero: not yet.
type seen struct {
	Started, API, Ready, Pod time.Time
	Endpoint                 string
	Error                    string
}

const pause = 20 * time.Millisecond

// Probe watches until everything was seen, and writes each moment to file+".seen".
func Probe(ctx context.Context, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	p := &probe{file: file}
	if err := json.Unmarshal(b, &p.task); err != nil {
		return err
	}
	p.seen.Started = time.Now()
	if err := p.write(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := p.watch(ctx); err != nil {
		p.seen.Error = err.Error()
		return errors.Join(err, p.write())
	}
	return nil
}

type probe struct {
	task
	file string
	seen seen
	kube kube
}

func (p *probe) write() error {
	b, err := json.Marshal(p.seen)
	if err != nil {
		return err
	}
	tmp := p.file + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, p.file+".seen")
}

func (p *probe) watch(ctx context.Context) error {
	anonymous := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
		DialContext:     (&net.Dialer{Timeout: 200 * time.Millisecond}).DialContext,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // who answers is proved by the client's certificate below
	}}
	for p.seen.API.IsZero() {
		for _, a := range p.Addresses {
			if healthy(ctx, anonymous, "https://"+a+"/readyz") {
				p.seen.API, p.seen.Endpoint, p.kube.server = time.Now(), a, "https://"+a
				break
			}
		}
		if err := wait(ctx); err != nil {
			return fmt.Errorf("no API server at the endpoint: %w", err)
		}
	}
	if err := p.write(); err != nil {
		return err
	}
	for p.kube.client == nil {
		arm := azure.New(p.Base)
		arm.Token = p.Token
		config, err := credentials(ctx, arm, p.Cluster)
		if err == nil {
			p.kube.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
		} else if wait(ctx) != nil {
			return fmt.Errorf("no credentials: %w", err)
		}
	}
	posted := !p.Pod
	for p.seen.Ready.IsZero() || p.Pod && p.seen.Pod.IsZero() {
		if !posted {
			posted = p.kube.do(ctx, http.MethodPost, "/api/v1/namespaces/default/pods", []byte(podJSON), nil) == nil
		}
		if p.seen.Ready.IsZero() && p.ready(ctx) {
			p.seen.Ready = time.Now()
			if err := p.write(); err != nil {
				return err
			}
		}
		if p.Pod && posted && p.answers(ctx) {
			p.seen.Pod = time.Now()
		}
		if err := wait(ctx); err != nil {
			return fmt.Errorf("nodes or pod are not ready: %w", err)
		}
	}
	return p.write()
}

func wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// ready tells whether as many nodes as wanted are Ready.
func (p *probe) ready(ctx context.Context) bool {
	var list struct {
		Items []struct {
			Status struct {
				Conditions []struct{ Type, Status string } `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	if p.kube.do(ctx, http.MethodGet, "/api/v1/nodes", nil, &list) != nil {
		return false
	}
	n := 0
	for _, node := range list.Items {
		for _, c := range node.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				n++
			}
		}
	}
	return n >= p.Nodes
}

const podName = "bench-hello"

const podJSON = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"` + podName + `"},"spec":{"containers":[{"name":"hello","image":"cloister.internal/hello:1","imagePullPolicy":"IfNotPresent"}]}}`

// answers tells whether the pod answers at its own address.
func (p *probe) answers(ctx context.Context) bool {
	var pod struct {
		Status struct {
			PodIP string `json:"podIP"`
		} `json:"status"`
	}
	if p.kube.do(ctx, http.MethodGet, "/api/v1/namespaces/default/pods/"+podName, nil, &pod) != nil || pod.Status.PodIP == "" {
		return false
	}
	return healthy(ctx, &http.Client{Timeout: time.Second}, "http://"+net.JoinHostPort(pod.Status.PodIP, "8080")+"/")
}

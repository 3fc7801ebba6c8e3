package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// counts are what a probe in a virtual network has seen so far.
type counts struct {
	Lookups, LookupsFailed int
	Gets, GetsFailed       int
	Last                   string // failure
}

func (c counts) minus(before counts) counts {
	return counts{c.Lookups - before.Lookups, c.LookupsFailed - before.LookupsFailed, c.Gets - before.Gets, c.GetsFailed - before.GetsFailed, c.Last}
}

func (c counts) String() string {
	s := fmt.Sprintf("lookups failed %d/%d, HTTP failed %d/%d", c.LookupsFailed, c.Lookups, c.GetsFailed, c.Gets)
	if c.LookupsFailed+c.GetsFailed > 0 {
		s += " (" + c.Last + ")"
	}
	return s
}

const (
	probeName = "CLOISTER_TEST_PROBE_NAME" // looked up
	probeURL  = "CLOISTER_TEST_PROBE_URL"  // asked
	probeFile = "CLOISTER_TEST_PROBE_FILE" // where counts are written
)

// patience is how long the probe waits for one answer. It is more than the second after which TCP sends a first packet again:
// the machine may have no processor free for that long while clusters are made on it.
const patience = 2 * time.Second

// TestMain is the probe when it is asked for: a process in a virtual network that looks a name up and asks a pod, again and again.
func TestMain(m *testing.M) {
	if file := os.Getenv(probeFile); file != "" {
		probe(os.Getenv(probeName), os.Getenv(probeURL), file)
	}
	os.Exit(m.Run())
}

func probe(name, url, file string) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resolver := &net.Resolver{PreferGo: true}
	var c counts
	for range time.Tick(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		c.Lookups++
		if _, err := resolver.LookupHost(ctx, name); err != nil {
			c.LookupsFailed++
			c.Last = time.Now().Format(time.TimeOnly) + " " + err.Error()
		}
		cancel()
		c.Gets++
		resp, err := client.Get(url)
		if err == nil {
			err = resp.Body.Close()
		}
		if err != nil {
			c.GetsFailed++
			c.Last = time.Now().Format(time.TimeOnly) + " " + err.Error()
		}
		b, err := json.Marshal(c)
		if err == nil {
			err = os.WriteFile(file+".new", b, 0o600)
		}
		if err == nil {
			err = os.Rename(file+".new", file)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "probe:", err)
			os.Exit(1)
		}
	}
}

// startProbe runs a probe in a subnet, and returns what reads its counts and what ends it.
func (c *cloud) startProbe(subnet, name, url string) (seen func() counts, stop func()) {
	c.t.Helper()
	file := filepath.Join(c.dir, "probe.json")
	cmd := exec.Command(c.bin, "run", "--subnet", subnet, "--", os.Args[0])
	cmd.Env = append(os.Environ(), probeName+"="+name, probeURL+"="+url, probeFile+"="+file)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	c.t.Cleanup(stop)
	read := func() (out counts, err error) {
		b, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(b, &out)
		}
		return out, err
	}
	c.eventually("the probe begins", 30*time.Second, func() error { _, err := read(); return err })
	return func() counts {
		out, err := read()
		if err != nil {
			c.t.Fatal(err)
		}
		return out
	}, stop
}

// answers waits until the probe's looks, several in a row, went well: no part that has just ended goes unnoticed.
func (c *cloud) answers(seen func() counts) {
	c.t.Helper()
	before := seen()
	c.eventually("names and pods answer", time.Minute, func() error {
		got := seen().minus(before)
		if got.LookupsFailed+got.GetsFailed > 0 {
			before = seen()
			return errors.New(got.String())
		}
		if got.Gets < 5 {
			return fmt.Errorf("%d looks went well", got.Gets)
		}
		return nil
	})
}

// hello starts a pod that answers, waits until it does, and returns its address.
func (c *cloud) hello(group string) (address string) {
	c.t.Helper()
	k, err := c.kube(group)
	if err != nil {
		c.t.Fatal(err)
	}
	pod := map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "hello"}, "spec": map[string]any{
		"containers": []any{map[string]any{"name": "hello", "image": "cloister.internal/hello:1", "imagePullPolicy": "IfNotPresent"}},
	}}
	c.eventually("the pod is made", time.Minute, func() error {
		return k.do(c.t.Context(), http.MethodPost, "/api/v1/namespaces/default/pods", pod, nil)
	})
	c.eventually("the pod runs", 2*time.Minute, func() error {
		address, _, err = helloAddress(c.t.Context(), k)
		return err
	})
	return address
}

// helloAddress is that of the pod, if it is ready, and the id of its container.
func helloAddress(ctx context.Context, k *kube) (address, container string, err error) {
	var now struct {
		Status struct {
			PodIP             string
			ContainerStatuses []struct {
				Ready       bool
				ContainerID string
			}
		}
	}
	if err := k.do(ctx, http.MethodGet, "/api/v1/namespaces/default/pods/hello", nil, &now); err != nil {
		return "", "", err
	}
	for _, s := range now.Status.ContainerStatuses {
		if s.Ready && now.Status.PodIP != "" {
			return now.Status.PodIP, s.ContainerID, nil
		}
	}
	return "", "", errors.New("the pod is not ready")
}

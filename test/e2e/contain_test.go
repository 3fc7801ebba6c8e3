package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/test/contain"
)

// TestContained tries to get out of a real cluster's privileged pod, which is root with all that its node has.
func TestContained(t *testing.T) {
	if !playHost(t) {
		return
	}
	c := newCloud(t, "contain")
	const group = "contain"
	c.network(group)
	c.must(http.MethodPut, c.clusterID(group), c.clusterBody(group, 1))
	c.eventually("the cluster is there", 4*time.Minute, func() error { return c.well(group, 1) })

	targets, program := contain.NewTargets(t, c.data), contain.Build(t)
	targets.Socket = filepath.Join(c.run, "cloister.sock") // the daemon's
	control := contain.Control(t, program, targets)
	// A folder of the node's, written from outside, is how the program gets into the pod without a registry.
	volumes, err := filepath.Glob(filepath.Join(c.data, "volumes", "node-*-kubelet"))
	if err != nil || len(volumes) != 1 {
		t.Fatalf("the node's volumes: %v, %v", volumes, err)
	}
	folder := filepath.Join(volumes[0], "escape")
	content, err := os.ReadFile(program)
	if err == nil {
		err = os.Mkdir(folder, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "escape"), content, 0o755)
	}
	targets.Volume = "/escape"
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "targets.json"), targets.JSON(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := c.privileged(group, "/var/lib/kubelet/escape", "/escape/escape", "/escape/targets.json")
	contain.Judge(t, control, contain.Outcomes(t, out), contain.KnownOfPods)
}

// privileged runs a program from a folder of the node's in a privileged pod, which has the folder at /escape, and returns what it printed.
func (c *cloud) privileged(group, folder string, args ...string) (printed string) {
	c.t.Helper()
	k, err := c.kube(group)
	if err != nil {
		c.t.Fatal(err)
	}
	const path = "/api/v1/namespaces/default/pods"
	pod := map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "escape"}, "spec": map[string]any{
		"restartPolicy": "Never",
		"volumes":       []any{map[string]any{"name": "escape", "hostPath": map[string]any{"path": folder}}},
		"containers": []any{map[string]any{
			"name": "escape", "image": "cloister.internal/hello:1", "imagePullPolicy": "IfNotPresent", "command": args,
			"securityContext": map[string]any{"privileged": true},
			"volumeMounts":    []any{map[string]any{"name": "escape", "mountPath": "/escape"}},
		}},
	}}
	c.eventually("the pod is made", time.Minute, func() error {
		return k.do(c.t.Context(), http.MethodPost, path, pod, nil)
	})
	phase := ""
	c.eventually("the pod ends", 2*time.Minute, func() error {
		var now struct {
			Status struct{ Phase, Message string }
		}
		if err := k.do(c.t.Context(), http.MethodGet, path+"/escape", nil, &now); err != nil {
			return err
		}
		if phase = now.Status.Phase; phase != "Succeeded" && phase != "Failed" {
			return fmt.Errorf("it is %s: %s", phase, now.Status.Message)
		}
		return nil
	})
	c.eventually("the pod's log", time.Minute, func() error {
		printed, err = k.text(c.t.Context(), path+"/escape/log")
		if err == nil && strings.TrimSpace(printed) == "" {
			err = errors.New("it is empty")
		}
		return err
	})
	if phase != "Succeeded" {
		c.t.Fatalf("the pod %s:\n%s", phase, printed)
	}
	return printed
}

// text gets what is no JSON.
func (k *kube) text(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.host+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return string(b), err
}

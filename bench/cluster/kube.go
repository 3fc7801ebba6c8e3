package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"sigs.k8s.io/yaml"

	"cloister.dev/cloister/bench/azure"
)

// kube is a cluster's API server, as its administrator uses it.
type kube struct {
	server string // https://address
	client *http.Client
}

// do sends JSON (or nothing) and decodes the answer into a pointer (or nil). Every status from 300 on is an error.
func (k *kube) do(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, k.server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.200s", method, path, resp.Status, b)
	}
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// credentials are what a cluster's administrator shows its API server, from the kubeconfig that ARM gives.
func credentials(ctx context.Context, c *azure.Client, cluster string) (*tls.Config, error) {
	b, err := c.Do(ctx, http.MethodPost, cluster+"/listClusterAdminCredential"+version, nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Kubeconfigs []struct {
			Value []byte `json:"value"`
		} `json:"kubeconfigs"`
	}
	if err := json.Unmarshal(b, &answer); err != nil || len(answer.Kubeconfigs) == 0 {
		return nil, errors.Join(err, errors.New("no kubeconfig"))
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Cert string `json:"client-certificate-data"`
				Key  string `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(answer.Kubeconfigs[0].Value, &config); err != nil || len(config.Clusters) == 0 || len(config.Users) == 0 {
		return nil, errors.Join(err, errors.New("an empty kubeconfig"))
	}
	cert, err1 := base64.StdEncoding.DecodeString(config.Users[0].User.Cert)
	key, err2 := base64.StdEncoding.DecodeString(config.Users[0].User.Key)
	pair, err3 := tls.X509KeyPair(cert, key)
	server, err4 := url.Parse(config.Clusters[0].Cluster.Server)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return &tls.Config{InsecureSkipVerify: true, ServerName: server.Hostname(), Certificates: []tls.Certificate{pair}}, nil //nolint:gosec // of the benchmark's own network
}

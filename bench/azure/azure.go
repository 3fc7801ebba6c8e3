// Package azure is the client that benchmarks prepare and ask Cloister with.
package azure

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Client sends ARM requests as a service principal.
type Client struct {
	Base, Token string
	http        *http.Client
}

// New makes a client of the endpoint. It checks no certificate: the endpoint is the benchmark's own.
func New(base string) *Client {
	return &Client{Base: base, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}} //nolint:gosec // its own server
}

// SignIn gets a token.
func (c *Client) SignIn(ctx context.Context, tenant, id, secret string) error {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {c.Base + "/.default"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+"/"+tenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
	}
	b, err := c.send(req)
	if err == nil {
		err = json.Unmarshal(b, &answer)
	}
	c.Token = answer.Token
	return err
}

// Do sends a JSON body, and returns the answer's; a status of 300 and more is an error.
func (c *Client) Do(ctx context.Context, method, path string, body any) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	return c.send(req)
}

func (c *Client) send(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s %.300s", req.Method, req.URL.Path, resp.Status, b)
	}
	return b, err
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

const (
	// awaitLimit is how long is waited for the answer: what runs without it must not be kept from running.
	awaitLimit = 20 * time.Second
	awaitPause = 100 * time.Millisecond
)

// await is whose answer a node waits for before it starts what works on others, and what can only fail until then: while a
// control plane starts, every node that starts with it takes its processors and its disk away.
type await struct {
	URL       string `json:"url"`       // answers 200 when it is ready
	Authority string `json:"authority"` // file with the certificate of who signed its certificate
}

// until waits for the answer, for the limit, or for ctx.
func (a await) until(ctx context.Context, limit time.Duration) {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	pem, err := os.ReadFile(a.Authority)
	if err != nil {
		log.Printf("do not wait for %s: %v", a.URL, err)
		return
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for {
		err := a.ask(ctx, client)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			log.Printf("go on without an answer of %s: %v", a.URL, err)
			return
		case <-time.After(awaitPause):
		}
	}
}

func (a await) ask(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}

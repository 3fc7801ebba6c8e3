package main

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// answering is a server that is not ready until told, and what waits for it.
func answering(t *testing.T) (a *await, ready *atomic.Bool, asked chan struct{}) {
	t.Helper()
	ready, asked = new(atomic.Bool), make(chan struct{}, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		if !ready.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &await{URL: server.URL + "/readyz", Authority: file}, ready, asked
}

func TestAwait(t *testing.T) {
	a, ready, asked := answering(t)
	out := &recorder{written: make(chan struct{}, 1)}
	children := children()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := newNode(config{Await: a, Processes: []process{
		{Name: "first", Args: []string{"sh", "-c", "echo up; exec sleep 1000"}},
		{Name: "second", Args: []string{"sh", "-c", "echo run; exec sleep 1000"}, Await: true},
	}}, children, out)
	done := make(chan struct{})
	go func() { n.run(ctx); close(done) }()
	out.until(t, func(s string) bool { return strings.Contains(s, "first| up\n") })
	for range 2 { // the second time, it has heard that it is not ready
		<-asked
	}
	if strings.Contains(out.String(), "second|") {
		t.Error("the second did not wait")
	}
	ready.Store(true)
	out.until(t, func(s string) bool { return strings.Contains(s, "second| run\n") })
	cancel()
	<-done
}

func TestAwaitEnds(t *testing.T) {
	a, _, _ := answering(t)
	begin := time.Now()
	a.until(t.Context(), 300*time.Millisecond)
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("gave up after %s", took)
	}
	a.until(t.Context(), 0)
	(&await{URL: a.URL, Authority: "/nowhere"}).until(t.Context(), time.Hour)
}

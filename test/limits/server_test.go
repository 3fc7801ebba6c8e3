// Package limits attacks the ARM endpoint as a careless or hostile client does, and wants the
// others to be served meanwhile and its memory to stay bounded. The endpoint is a process of its own.
package limits

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/internal/app"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/httpbound"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/store/storetest"
	"cloister.dev/cloister/internal/tlsca"
)

// serveIn names a folder in the environment: the process is the endpoint then.
const serveIn = "CLOISTER_LIMITS_SERVE"

// hello is what the endpoint says when it listens.
type hello struct {
	Address string
	CA      []byte
	Admin   identity.Admin
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveIn); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func serve(dir string) error {
	cfg := config.Default()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	cfg.DataDir, cfg.Listen = dir, l.Addr().String()
	ctx, s := context.Background(), storetest.NewMemory()
	admin, err := identity.Bootstrap(ctx, s, cfg)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	h, _, err := app.Endpoint(ctx, cfg, s, log)
	if err != nil {
		return err
	}
	ca, err := tlsca.Open(dir, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	if err != nil {
		return err
	}
	cert, err := ca.Issue(time.Now(), []string{"localhost"}, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(hello{l.Addr().String(), ca.PEM, admin}); err != nil {
		return err
	}
	return httpbound.NewServer(h, log).Serve(l, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{*cert}})
}

// endpoint is the process under attack.
type endpoint struct {
	hello
	pid   int
	roots *x509.CertPool
	token string
}

func start(t *testing.T) *endpoint {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveIn+"="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	e := &endpoint{pid: cmd.Process.Pid, roots: x509.NewCertPool()}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &e.hello); err != nil {
		t.Fatal(err)
	}
	e.roots.AppendCertsFromPEM(e.CA)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {e.Admin.ClientID}, "client_secret": {e.Admin.ClientSecret}, "scope": {"https://" + e.Address + "/.default"}}
	status, body, err := e.do(e.client("127.0.0.1"), http.MethodPost, "/adfs/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	var answer struct {
		Token string `json:"access_token"`
	}
	if err != nil || json.Unmarshal([]byte(body), &answer) != nil || answer.Token == "" {
		t.Fatalf("sign in: %d %s %v", status, body, err)
	}
	e.token = answer.Token
	return e
}

// dialer connects from a loopback address of its own: another client to the endpoint.
func dialer(from string) *net.Dialer {
	return &net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
}

func (e *endpoint) tls(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: e.roots, ServerName: "localhost", NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

// client makes a connection for each request.
func (e *endpoint) client(from string) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dialer(from).DialContext, TLSClientConfig: e.tls("http/1.1"), DisableKeepAlives: true}}
}

func (e *endpoint) path(rest string) string {
	return "/subscriptions/" + e.Admin.SubscriptionID + rest + "?api-version=2024-01-01"
}

// do sends a request; an answer that was cut off is an error.
func (e *endpoint) do(c *http.Client, method, path, kind string, body io.Reader) (int, string, error) {
	r, err := http.NewRequest(method, "https://"+e.Address+path, body)
	if err != nil {
		return 0, "", err
	}
	if e.token != "" {
		r.Header.Set("Authorization", "Bearer "+e.token)
	}
	r.Header.Set("Content-Type", kind)
	resp, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// peak is the most memory that the endpoint held at once, in MiB.
func (e *endpoint) peak(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kib >> 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

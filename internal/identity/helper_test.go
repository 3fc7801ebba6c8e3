package identity

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// world is a service behind TLS on loopback, with its first administrator.
type world struct {
	*Service
	t      *testing.T
	store  store.Store
	admin  Admin
	base   string
	client *http.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	st := storetest.New(t)
	w := &world{t: t, store: st}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !w.Handler.Owns(r.URL.Path) {
			http.NotFound(rw, r)
			return
		}
		w.Handler.ServeHTTP(rw, r)
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	cfg := config.Default()
	cfg.Listen = server.Listener.Addr().String()
	w.base, w.client = cfg.BaseURL(), server.Client()
	var err error
	if w.admin, err = Bootstrap(t.Context(), st, cfg); err != nil {
		t.Fatal(err)
	}
	if w.Service, err = Open(t.Context(), st, cfg); err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.Run(t.Context()) }()
	return w
}

// answer is a JSON answer.
type answer map[string]any

func (a answer) text(name string) string { s, _ := a[name].(string); return s }

func (w *world) do(method, path, contentType, body string, header ...string) (int, answer, http.Header) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	out := answer{}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
		switch v := v.(type) {
		case map[string]any:
			out = v
		default:
			out["list"] = v
		}
	} else {
		out["text"] = string(b)
	}
	return resp.StatusCode, out, resp.Header
}

func (w *world) get(path string) answer {
	w.t.Helper()
	status, a, _ := w.do("GET", path, "", "")
	if status != 200 {
		w.t.Fatalf("GET %s: %d %v", path, status, a)
	}
	return a
}

func (w *world) post(path string, pairs ...string) (int, answer) {
	w.t.Helper()
	f := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	status, a, _ := w.do("POST", path, "application/x-www-form-urlencoded", f.Encode())
	return status, a
}

// token signs the administrator's service principal in for a scope.
func (w *world) token(scope string) string {
	w.t.Helper()
	status, a := w.post("/adfs/oauth2/token", "grant_type", "client_credentials", "client_id", w.admin.ClientID, "client_secret", w.admin.ClientSecret, "scope", scope)
	if status != 200 {
		w.t.Fatalf("token: %d %v", status, a)
	}
	return a.text("access_token")
}

func codeOf(err error) string {
	if e, ok := err.(*arm.Error); ok {
		return e.Code
	}
	return ""
}

func (w *world) authenticate(token string) (arm.Principal, error) {
	r := httptest.NewRequest("GET", "/subscriptions", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return w.Authenticator.Authenticate(r)
}

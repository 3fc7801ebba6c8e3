// The scenarios run against the whole ARM endpoint: real sign-in, real roles, every
// resource type and reconciler over a real etcd. Only the machine is played.
package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/app"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/store/storetest"
	"cloister.dev/cloister/test/api"
)

func TestScenarios(t *testing.T) { api.Run(t, "scenarios", endpoint) }

// people have a service principal each, and no role before a step gives them one.
var people = []string{"reader", "networker", "nobody"}

func endpoint(t *testing.T) api.Target {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, cfg, log := storetest.New(t), config.Default(), slog.New(slog.DiscardHandler)
	admin, err := identity.Bootstrap(ctx, s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	handler, reconcilers, err := app.Endpoint(ctx, cfg, s, log)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 2)
	go func() { _ = reconcile.Run(ctx, s, log, reconcilers); done <- struct{}{} }()
	m := &machine{t: t, store: s}
	go func() { m.run(ctx); done <- struct{}{} }()
	t.Cleanup(func() { cancel(); <-done; <-done })

	c := client{t: t, handler: handler, base: cfg.BaseURL()}
	out := api.Target{
		Vars: map[string]string{"sub": "/subscriptions/" + admin.SubscriptionID, "base": cfg.BaseURL(), "tenant": admin.TenantID},
		Tokens: map[string]string{
			"admin": c.token(admin.ClientID, admin.ClientSecret, cfg.BaseURL()+"/.default"),
			"graph": c.token(admin.ClientID, admin.ClientSecret, cfg.BaseURL()+"/msgraph/.default"), // for another audience
			"junk":  "not.a.token",
		},
	}
	for _, name := range people {
		token, id := c.person(name, out.Tokens["graph"])
		out.Tokens[name], out.Vars[name] = token, id
	}
	out.Handler = newHost(t, m).beside(handler)
	return out
}

// client talks to the endpoint as a program does that signs somebody in.
type client struct {
	t       *testing.T
	handler http.Handler
	base    string
}

func (c client) send(method, path, kind, token, body string) map[string]any {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Body)
	if err != nil || w.Code >= 300 {
		c.t.Fatalf("%s %s: %d %s %v", method, path, w.Code, text, err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c client) text(doc map[string]any, name string) string {
	c.t.Helper()
	s, ok := doc[name].(string)
	if !ok {
		c.t.Fatalf("no %s in %v", name, doc)
	}
	return s
}

func (c client) token(id, secret, scope string) string {
	c.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {scope}}
	return c.text(c.send("POST", "/adfs/oauth2/token", "application/x-www-form-urlencoded", "", form.Encode()), "access_token")
}

// person makes a service principal by Graph, as `az ad sp create-for-rbac` does.
func (c client) person(name, graph string) (token, id string) {
	c.t.Helper()
	post := func(path, body string) map[string]any {
		return c.send("POST", "/msgraph/v1.0/"+path, "application/json", graph, body)
	}
	application := post("applications", `{"displayName":"`+name+`"}`)
	secret := post("applications/"+c.text(application, "id")+"/addPassword", `{"passwordCredential":{"displayName":"rbac"}}`)
	principal := post("servicePrincipals", `{"appId":"`+c.text(application, "appId")+`"}`)
	return c.token(c.text(application, "appId"), c.text(secret, "secretText"), c.base+"/.default"), c.text(principal, "id")
}

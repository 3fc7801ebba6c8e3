package identity

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

func TestBootstrap(t *testing.T) {
	st := storetest.New(t)
	cfg := config.Default()
	cfg.SubscriptionID = "AAAAAAAA-2222-2222-2222-222222222222"
	first, err := Bootstrap(t.Context(), st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if first.ClientSecret == "" || first.Password == "" || first.SubscriptionID != strings.ToLower(cfg.SubscriptionID) {
		t.Fatalf("got %+v", first)
	}
	docs, _, err := st.List(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		if strings.Contains(string(doc.Value), first.ClientSecret) || strings.Contains(string(doc.Value), first.Password) {
			t.Errorf("%s holds a secret in plain", doc.Key)
		}
	}
	again, err := Bootstrap(t.Context(), st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	first.ClientSecret, first.Password = "", ""
	if again != first {
		t.Fatalf("the second time %+v, first %+v", again, first)
	}
	cfg.TenantID = newID()
	if _, err := Bootstrap(t.Context(), st, cfg); err == nil || !strings.Contains(err.Error(), "tenantID") {
		t.Fatalf("another tenant: %v", err)
	}
	cfg.TenantID = "nonsense"
	if _, err := Bootstrap(t.Context(), storetest.New(t), cfg); err == nil || !strings.Contains(err.Error(), "GUID") {
		t.Fatalf("a tenant id that is no GUID: %v", err)
	}
}

func TestEnsureCredentials(t *testing.T) {
	st, path := storetest.New(t), filepath.Join(t.TempDir(), "admin.json")
	first, err := EnsureCredentials(t.Context(), st, config.Default(), path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	var saved Admin
	if b, err := os.ReadFile(path); err != nil || json.Unmarshal(b, &saved) != nil || saved != first {
		t.Fatalf("file %+v, %v", saved, err)
	}
	if again, err := EnsureCredentials(t.Context(), st, config.Default(), path); err != nil || again != first {
		t.Fatalf("again %+v, %v", again, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	fresh, err := EnsureCredentials(t.Context(), st, config.Default(), path)
	if err != nil || fresh.ClientID != first.ClientID || fresh.ClientSecret == first.ClientSecret || fresh.Password == first.Password {
		t.Fatalf("without the file %+v, %v", fresh, err)
	}
}

func TestAuthenticatorRefuses(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	good := accessClaims{
		Claims:   jwt.Claims{Issuer: w.base + "/adfs", ID: "1", Audience: jwt.Audience{w.base + "/"}, Expiry: jwt.NewNumericDate(now.Add(time.Hour))},
		ObjectID: w.Tenant.AdminUser, TenantID: w.admin.TenantID,
	}
	signed := func(change func(*accessClaims)) string {
		c := good
		change(&c)
		token, err := w.Keys.sign(c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	if _, err := w.authenticate(signed(func(*accessClaims) {})); err != nil {
		t.Fatal(err)
	}
	other, err := OpenKeys(t.Context(), storetest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.sign(good)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	symmetric, err := jwt.Signed(plain).Claims(good).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	tampered := signed(func(*accessClaims) {})
	tampered = tampered[:len(tampered)-8] + "AAAAAAAA"
	for _, c := range []struct{ name, token, code string }{
		{"no token", "", "AuthenticationFailed"},
		{"nonsense", "abc", "InvalidAuthenticationToken"},
		{"none algorithm", "eyJhbGciOiJub25lIn0.e30.", "InvalidAuthenticationToken"},
		{"symmetric key", symmetric, "InvalidAuthenticationToken"},
		{"too long", strings.Repeat("a", maxToken+1), "InvalidAuthenticationToken"},
		{"another's key", foreign, "InvalidAuthenticationToken"},
		{"changed", tampered, "InvalidAuthenticationToken"},
		{"expired", signed(func(c *accessClaims) { c.Expiry = jwt.NewNumericDate(now.Add(-time.Second)) }), "ExpiredAuthenticationToken"},
		{"without expiry", signed(func(c *accessClaims) { c.Expiry = nil }), "ExpiredAuthenticationToken"},
		{"not yet", signed(func(c *accessClaims) { c.NotBefore = jwt.NewNumericDate(now.Add(time.Hour)) }), "InvalidAuthenticationToken"},
		{"audience", signed(func(c *accessClaims) { c.Audience = jwt.Audience{w.base + "/msgraph"} }), "InvalidAuthenticationTokenAudience"},
		{"no audience", signed(func(c *accessClaims) { c.Audience = nil }), "InvalidAuthenticationTokenAudience"},
		{"issuer", signed(func(c *accessClaims) { c.Issuer = "https://example.org" }), "InvalidAuthenticationTokenTenant"},
		{"tenant", signed(func(c *accessClaims) { c.TenantID = newID() }), "InvalidAuthenticationTokenTenant"},
		{"nobody", signed(func(c *accessClaims) { c.ObjectID = newID() }), "InvalidAuthenticationToken"},
		{"no object", signed(func(c *accessClaims) { c.ObjectID = "" }), "InvalidAuthenticationToken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.authenticate(c.token)
			e, ok := err.(*arm.Error)
			if !ok || e.Code != c.code || e.Status != 401 {
				t.Fatalf("got %v, want %s", err, c.code)
			}
		})
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Basic eDp5")
	if _, err := w.Authenticator.Authenticate(r); codeOf(err) != "AuthenticationFailed" {
		t.Errorf("basic: %v", err)
	}
	remembered := signed(func(*accessClaims) {})
	if _, err := w.authenticate(remembered); err != nil {
		t.Fatal(err)
	}
	w.Authenticator.now = func() time.Time { return now.Add(2 * time.Hour) }
	if _, err := w.authenticate(remembered); codeOf(err) != "ExpiredAuthenticationToken" {
		t.Errorf("a remembered token outlives itself: %v", err)
	}
}

func TestDisabledIsOutAtOnce(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.base + "/.default")
	p, err := w.authenticate(token)
	if err != nil {
		t.Fatal(err)
	}
	sp, err := w.Directory.Principal(t.Context(), p.ObjectID)
	if err != nil {
		t.Fatal(err)
	}
	sp.Disabled = true
	if _, err := w.store.Commit(t.Context(), (&store.Tx{}).Update(keyPrincipals+sp.ID, sp.Rev, sp)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { _, err := w.authenticate(token); return codeOf(err) == "InvalidAuthenticationToken" })
}

func TestAuthenticatorForgets(t *testing.T) {
	a := newAuthenticator(nil, nil, site{}, nil)
	for i := range maxKnown + 10 {
		a.remember([32]byte{byte(i), byte(i >> 8)}, known{expires: time.Now().Add(time.Hour)})
	}
	if len(a.known) > maxKnown {
		t.Fatalf("%d tokens are remembered", len(a.known))
	}
}

func TestKeysRotateAndLast(t *testing.T) {
	st := storetest.New(t)
	k, err := OpenKeys(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = k.Follow(t.Context()) }()
	old, err := k.sign(map[string]any{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	before := k.Public().Keys[0].KeyID
	if err := k.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return k.Public().Keys[0].KeyID != before })
	fresh, err := k.sign(map[string]any{"a": 2})
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenKeys(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{old, fresh} {
		for _, keys := range []*Keys{k, again} {
			var c map[string]any
			if err := keys.verify(token, &c); err != nil {
				t.Errorf("verify: %v", err)
			}
		}
	}
	if len(again.Public().Keys) != 2 || again.kid == before {
		t.Fatalf("after a restart %d keys are published, and %s signs", len(again.Public().Keys), again.kid)
	}
}

func TestMetadataShapes(t *testing.T) {
	w := newWorld(t)
	flat := w.get("/metadata/endpoints?api-version=2015-01-01")
	if flat.text("galleryEndpoint") != w.base+"/" || flat["authentication"].(map[string]any)["loginEndpoint"] != w.base+"/adfs" {
		t.Errorf("flat %v", flat)
	}
	list := w.get("/Metadata//endpoints/?api-version=2019-05-01")["list"].([]any)
	object := w.get("/metadata/endpoints?api-version=2022-09-01")
	for _, o := range []map[string]any{list[0].(map[string]any), object} {
		auth := o["authentication"].(map[string]any)
		if o["name"] != "Cloister" || o["resourceManager"] != w.base+"/" || o["microsoftGraphResourceId"] != w.base+"/msgraph/" || auth["identityProvider"] != "AAD" || auth["tenant"] != "common" || auth["loginEndpoint"] != w.base+"/adfs" {
			t.Errorf("object %v", o)
		}
	}
}

func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	tenant := w.admin.TenantID
	for path, want := range map[string][2]string{
		"/adfs/.well-known/openid-configuration":                     {"/adfs", "/adfs/oauth2/token"},
		"/adfs/" + Domain + "/.well-known/openid-configuration":      {"/" + tenant + "/v2.0", "/adfs/" + tenant + "/oauth2/v2.0/token"},
		"/" + tenant + "/v2.0/.well-known/openid-configuration":      {"/" + tenant + "/v2.0", "/" + tenant + "/oauth2/v2.0/token"},
		"/organizations/v2.0/.well-known/openid-configuration":       {"/" + tenant + "/v2.0", "/" + tenant + "/oauth2/v2.0/token"},
		"/common/v2.0//.well-known/openid-configuration":             {"/" + tenant + "/v2.0", "/" + tenant + "/oauth2/v2.0/token"},
		"/adfs/" + tenant + "/v2.0/.well-known/openid-configuration": {"/" + tenant + "/v2.0", "/adfs/" + tenant + "/oauth2/v2.0/token"},
	} {
		d := w.get(path)
		if d.text("issuer") != w.base+want[0] || d.text("token_endpoint") != w.base+want[1] {
			t.Errorf("%s: issuer %s, token endpoint %s", path, d.text("issuer"), d.text("token_endpoint"))
		}
		for _, name := range []string{"jwks_uri"} {
			if keys := w.get(strings.TrimPrefix(d.text(name), w.base)); len(keys["keys"].([]any)) == 0 {
				t.Errorf("%s: no keys at %s", path, d.text(name))
			}
		}
		if status, _ := w.post(strings.TrimPrefix(d.text("device_authorization_endpoint"), w.base), "client_id", azCLI, "scope", w.base+"/.default"); status != 200 {
			t.Errorf("%s: device endpoint answers %d", path, status)
		}
		if status, _ := w.post(strings.TrimPrefix(d.text("token_endpoint"), w.base)); status != 400 {
			t.Errorf("%s: token endpoint answers %d", path, status)
		}
	}
	if a := w.get("/common/discovery/instance?api-version=1.0"); a.text("tenant_discovery_endpoint") == "" {
		t.Errorf("instance %v", a)
	}
	if a := w.get("/common/userrealm/" + w.admin.User); a.text("account_type") != "Managed" {
		t.Errorf("userrealm %v", a)
	}
}

func TestOwns(t *testing.T) {
	h := &Handler{}
	for path, want := range map[string]bool{
		"/adfs/oauth2/token": true, "/adfs": true, "/devicelogin": true, "/metadata/endpoints": true, "/msgraph/v1.0/me": true,
		"/common/oauth2/v2.0/token": true, "/ORGANIZATIONS/v2.0/.well-known/openid-configuration": true, "//common//discovery/instance": true,
		"/subscriptions/x/resourceGroups": false, "/subscriptions/oauth2/token": false, "/providers/oauth2/token": false, "/tenants": false, "/tenants/v2.0": false,
		"/": false, "": false, "/metadata/identity/oauth2/token": false, "/portal/index.html": false, "/oauth2/token": false,
	} {
		if got := h.Owns(path); got != want {
			t.Errorf("Owns(%q) = %v", path, got)
		}
	}
}

func TestManagedIdentity(t *testing.T) {
	d := NewDirectory(storetest.New(t))
	object, client, err := d.EnsureManagedIdentity(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	object2, client2, err := d.EnsureManagedIdentity(t.Context(), strings.ToUpper(cluster[:14])+cluster[14:])
	if err != nil || object2 != object || client2 != client {
		t.Fatalf("again %s %s, first %s %s, %v", object2, client2, object, client, err)
	}
	p, err := d.Principal(t.Context(), object)
	if err != nil || p.Kind != KindManagedIdentity || p.DisplayName != "c" || p.ResourceID != cluster {
		t.Fatalf("%+v, %v", p, err)
	}
	for range 2 {
		if err := d.DeleteManagedIdentity(t.Context(), cluster); err != nil {
			t.Fatal(err)
		}
	}
	if docs, _, err := d.Store.List(t.Context(), "/identity/"); err != nil || len(docs) != 0 {
		t.Fatalf("%d documents stay, %v", len(docs), err)
	}
}

func TestRoutesShowWhatOneMaySee(t *testing.T) {
	w := newWorld(t)
	somebody := arm.Principal{ObjectID: newID(), Kind: KindUser}
	tx := &store.Tx{}
	arm.Put(tx, NewAssignment("/subscriptions/"+w.admin.SubscriptionID+"/resourceGroups/rg", newID(), RoleReader, somebody.ObjectID, KindUser, time.Now()))
	if _, err := w.store.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return w.Authorizer.SeesBelow(somebody.ObjectID, "/") })
	serve := func(pattern string, p arm.Principal) (map[string]any, error) {
		routes := w.Routes([]string{"eastus", "attic"})
		i := slices.IndexFunc(routes, func(r arm.Route) bool { return r.Pattern == pattern })
		resp, err := routes[i].Serve(t.Context(), &arm.RouteRequest{Principal: p, Params: map[string]string{"subscription": strings.ToUpper(w.admin.SubscriptionID), "tenant": w.admin.TenantID}})
		if err != nil {
			return nil, err
		}
		return resp.Body.(map[string]any), nil
	}
	nobody := arm.Principal{ObjectID: newID()}
	for p, want := range map[arm.Principal]int{somebody: 1, nobody: 0, {System: true}: 1} {
		list, err := serve("/subscriptions", p)
		if err != nil || len(list["value"].([]any)) != want {
			t.Errorf("%+v: %v, %v", p, list, err)
		}
		_, err = serve("/subscriptions/{subscription}", p)
		if (err == nil) != (want == 1) || err != nil && codeOf(err) != "SubscriptionNotFound" {
			t.Errorf("%+v: %v", p, err)
		}
	}
	places, err := serve("/subscriptions/{subscription}/locations", somebody)
	if err != nil || len(places["value"].([]any)) != 2 || places["value"].([]any)[0].(map[string]any)["displayName"] != "East US" {
		t.Errorf("locations %v, %v", places, err)
	}
	if tenants, err := serve("/tenants", nobody); err != nil || len(tenants["value"].([]any)) != 1 {
		t.Errorf("tenants %v, %v", tenants, err)
	}
}

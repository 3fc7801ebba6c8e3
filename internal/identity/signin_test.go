package identity

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const azCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

func TestServicePrincipalSignsInEverywhere(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"/adfs/oauth2/token", "/adfs/" + w.admin.TenantID + "/oauth2/v2.0/token", "/" + w.admin.TenantID + "/oauth2/v2.0/token",
		"/organizations/oauth2/v2.0/token", "//adfs//oauth2/token?client-request-id=1",
	} {
		for scope, aud := range map[string]string{
			w.base + "//.default": w.base + "/", w.base + "/.default": w.base, "https://management.azure.com/.default openid": "https://management.azure.com",
			"https://management.core.windows.net//.default": "https://management.core.windows.net/",
		} {
			status, a := w.post(path, "grant_type", "client_credentials", "client_id", w.admin.ClientID, "client_secret", w.admin.ClientSecret, "scope", scope)
			if status != 200 {
				t.Fatalf("%s %s: %d %v", path, scope, status, a)
			}
			claims := w.claims(a.text("access_token"))
			if claims["aud"] != aud || claims["tid"] != w.admin.TenantID || claims["appid"] != w.admin.ClientID || claims["oid"] == "" {
				t.Errorf("%s %s: claims %v", path, scope, claims)
			}
			if _, err := w.authenticate(a.text("access_token")); err != nil {
				t.Errorf("%s %s: %v", path, scope, err)
			}
		}
	}
	p, err := w.authenticate(w.token(w.base + "/.default"))
	if err != nil || p.Kind != KindServicePrincipal || p.AppID != w.admin.ClientID || p.Name != "cloister-admin" {
		t.Fatalf("principal %+v, %v", p, err)
	}
}

// claims verifies a token with the published keys alone, as a stranger would.
func (w *world) claims(token string) map[string]any {
	w.t.Helper()
	b, err := json.Marshal(w.get("/adfs/discovery/keys"))
	var set jose.JSONWebKeySet
	if err == nil {
		err = json.Unmarshal(b, &set)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.Contains(string(b), `"d"`) {
		w.t.Fatal("the published keys hold a private part")
	}
	tok, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		w.t.Fatal(err)
	}
	var c map[string]any
	if err := tok.Claims(set.Key(tok.Headers[0].KeyID)[0], &c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestSignInRefusals(t *testing.T) {
	w := newWorld(t)
	scope := w.base + "/.default"
	for _, c := range []struct {
		name   string
		form   []string
		status int
		code   string
		number string
	}{
		{"no grant type", []string{"client_id", "x"}, 400, "invalid_request", "AADSTS900144"},
		{"no client", []string{"grant_type", "password"}, 400, "invalid_request", "AADSTS900144"},
		{"strange grant", []string{"client_id", "x", "grant_type", "magic"}, 400, "unsupported_grant_type", "AADSTS70003"},
		{"unknown app", []string{"client_id", newID(), "client_secret", "x", "grant_type", "client_credentials", "scope", scope}, 400, "unauthorized_client", "AADSTS700016"},
		{"wrong secret", []string{"client_id", w.admin.ClientID, "client_secret", "x", "grant_type", "client_credentials", "scope", scope}, 401, "invalid_client", "AADSTS7000215"},
		{"no secret", []string{"client_id", w.admin.ClientID, "grant_type", "client_credentials", "scope", scope}, 401, "invalid_client", "AADSTS7000216"},
		{"certificate", []string{"client_id", w.admin.ClientID, "client_assertion", "a.b.c", "grant_type", "client_credentials", "scope", scope}, 401, "invalid_client", "AADSTS700027"},
		{"unknown resource", []string{"client_id", w.admin.ClientID, "client_secret", w.admin.ClientSecret, "grant_type", "client_credentials", "scope", "https://example.org/.default"}, 400, "invalid_resource", "AADSTS500011"},
		{"wrong password", []string{"client_id", azCLI, "username", w.admin.User, "password", "x", "grant_type", "password", "scope", scope}, 400, "invalid_grant", "AADSTS50126"},
		{"unknown user", []string{"client_id", azCLI, "username", "nobody@x/../y", "password", "x", "grant_type", "password", "scope", scope}, 400, "invalid_grant", "AADSTS50126"},
		{"bad refresh token", []string{"client_id", azCLI, "refresh_token", "x", "grant_type", "refresh_token", "scope", scope}, 400, "invalid_grant", "AADSTS70000"},
		{"unknown device code", []string{"client_id", azCLI, "device_code", "x", "grant_type", deviceGrant}, 400, "invalid_grant", "AADSTS70000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, a := w.post("/adfs/oauth2/token", c.form...)
			if status != c.status || a.text("error") != c.code || !strings.HasPrefix(a.text("error_description"), c.number+": ") {
				t.Fatalf("%d %v", status, a)
			}
		})
	}
	if status, a, _ := w.do("POST", "/adfs/oauth2/token", "application/json", "{}"); status != 400 || a.text("error") != "invalid_request" {
		t.Errorf("JSON body: %d %v", status, a)
	}
	if status, a, _ := w.do("POST", "/adfs/oauth2/token", "application/x-www-form-urlencoded", strings.Repeat("a", maxForm+1)); status != 413 {
		t.Errorf("large body: %d %v", status, a)
	}
	if status, a := w.post("/example.org/oauth2/v2.0/token"); status != 400 || a.text("error") != "invalid_tenant" {
		t.Errorf("unknown tenant: %d %v", status, a)
	}
	if status, _, _ := w.do("GET", "/adfs/oauth2/token", "", ""); status != 405 {
		t.Errorf("GET token: %d", status)
	}
}

func TestPasswordAndRefresh(t *testing.T) {
	w := newWorld(t)
	scopes := w.base + "//.default offline_access openid profile"
	status, a := w.post("/adfs/oauth2/token", "client_id", azCLI, "grant_type", "password", "username", strings.ToUpper(w.admin.User), "password", w.admin.Password, "scope", scopes, "client_info", "1")
	if status != 200 || a.text("scope") != scopes || a.text("refresh_token") == "" {
		t.Fatalf("%d %v", status, a)
	}
	id := w.claims(a.text("id_token"))
	if id["aud"] != azCLI || id["upn"] != w.admin.User || id["preferred_username"] != w.admin.User || id["iss"] != w.base+"/adfs" {
		t.Errorf("id token %v", id)
	}
	info, err := base64.RawURLEncoding.DecodeString(a.text("client_info"))
	if err != nil || !strings.Contains(string(info), w.admin.TenantID) {
		t.Errorf("client_info %s, %v", info, err)
	}
	p, err := w.authenticate(a.text("access_token"))
	if err != nil || p.Kind != KindUser || p.Name != w.admin.User {
		t.Errorf("principal %+v, %v", p, err)
	}
	if _, err := w.authenticate(a.text("id_token")); codeOf(err) != "InvalidAuthenticationTokenAudience" {
		t.Errorf("an ID token as access token: %v", err)
	}

	first := a.text("refresh_token")
	use := func(token string) (int, answer) {
		return w.post("/adfs/oauth2/token", "client_id", azCLI, "grant_type", "refresh_token", "refresh_token", token, "scope", aksServerApp+"/.default")
	}
	status, b := use(first)
	if status != 200 || w.claims(b.text("access_token"))["aud"] != aksServerApp || b.text("refresh_token") == first {
		t.Fatalf("refresh: %d %v", status, b)
	}
	if status, c := use(first); status != 200 {
		t.Fatalf("the old token within the grace: %d %v", status, c)
	}
	if status, _ := w.post("/adfs/oauth2/token", "client_id", newID(), "grant_type", "refresh_token", "refresh_token", first, "scope", w.base+"/.default"); status != 400 {
		t.Errorf("another client's use: %d", status)
	}
	later := time.Now().Add(2 * refreshGrace)
	w.Handler.tokens.now = func() time.Time { return later }
	if status, c := use(first); status != 400 || c.text("error") != "invalid_grant" {
		t.Fatalf("a replaced token after the grace: %d %v", status, c)
	}
	if status, c := use(b.text("refresh_token")); status != 400 {
		t.Fatalf("the family lives on after a token was used twice: %d %v", status, c)
	}
}

func TestRefreshEndsWithThePassword(t *testing.T) {
	w := newWorld(t)
	p, err := w.Directory.User(t.Context(), w.admin.User)
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.Handler.tokens.start(t.Context(), p, azCLI)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ResetAdmin(t.Context(), w.store); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Handler.tokens.use(t.Context(), token, azCLI); err != error(errRefreshUser) {
		t.Fatalf("got %v", err)
	}
	if docs, _, err := w.store.List(t.Context(), keyRefresh); err != nil || len(docs) != 0 {
		t.Fatalf("%d families stay, %v", len(docs), err)
	}
}

func TestDeviceCode(t *testing.T) {
	w := newWorld(t)
	status, a := w.post("/adfs/oauth2/devicecode", "client_id", azCLI, "scope", w.base+"//.default offline_access openid profile")
	if status != 200 || a.text("verification_uri") != w.base+"/devicelogin" || !strings.Contains(a.text("message"), a.text("user_code")) {
		t.Fatalf("%d %v", status, a)
	}
	poll := func() (int, answer) {
		return w.post("/adfs/oauth2/token", "client_id", azCLI, "grant_type", deviceGrant, "device_code", a.text("device_code"), "code", a.text("device_code"))
	}
	if status, b := poll(); status != 400 || b.text("error") != "authorization_pending" {
		t.Fatalf("before the sign-in: %d %v", status, b)
	}
	if status, b := w.post("/adfs/oauth2/token", "client_id", azCLI, "grant_type", "device_code", "device_code", a.text("device_code")); status != 400 || b.text("error") != "authorization_pending" {
		t.Fatalf("the grant's old name: %d %v", status, b)
	}
	b := newBrowser(w)
	if page := b.get("/devicelogin?user_code=%3Cb%3E"); strings.Contains(page, "<b>") || !strings.Contains(page, `name="code"`) {
		t.Fatalf("page: %s", page)
	}
	typed := strings.ToLower(a.text("user_code")[:4] + "-" + a.text("user_code")[4:])
	if status, page := b.post("code", typed); status != 200 || !strings.Contains(page, "Azure CLI") || !strings.Contains(page, `type="password"`) {
		t.Fatalf("code: %d %s", status, page)
	}
	if status, page := b.post("code", typed, "step", "signin", "user", w.admin.User, "password", "wrong"); status != 400 || !strings.Contains(page, "invalid username or password") {
		t.Fatalf("wrong password: %d %s", status, page)
	}
	if status, page := b.post("code", typed, "step", "signin", "user", w.admin.User, "password", w.admin.Password); status != 200 || !strings.Contains(page, "You are signed in") {
		t.Fatalf("sign-in: %d %s", status, page)
	}
	if status, c := poll(); status != 200 || c.text("id_token") == "" || c.text("refresh_token") == "" {
		t.Fatalf("after the sign-in: %d %v", status, c)
	}
	if status, _ := poll(); status != 400 {
		t.Fatalf("a device code worked twice: %d", status)
	}
}

func TestDeviceCodeDeclinedAndForged(t *testing.T) {
	w := newWorld(t)
	_, a := w.post("/organizations/oauth2/v2.0/devicecode", "client_id", azCLI, "scope", w.base+"/.default")
	if status, page, _ := w.do("POST", "/devicelogin", "application/x-www-form-urlencoded", url.Values{"code": {a.text("user_code")}, "step": {"cancel"}}.Encode()); status != 403 {
		t.Fatalf("a form without its cookie: %d %v", status, page)
	}
	b := newBrowser(w)
	b.get("/devicelogin")
	if status, _ := b.send("https://evil.example", "code", a.text("user_code"), "step", "cancel"); status != 403 {
		t.Fatalf("a form of another site: %d", status)
	}
	if status, page := b.post("code", a.text("user_code"), "step", "cancel"); status != 200 {
		t.Fatalf("cancel: %d %s", status, page)
	}
	status, c := w.post("/organizations/oauth2/v2.0/token", "client_id", azCLI, "grant_type", deviceGrant, "device_code", a.text("device_code"))
	if status != 400 || c.text("error") != "authorization_declined" {
		t.Fatalf("%d %v", status, c)
	}
	for range throttleUser {
		b.post("code", "BBBBBBBB")
	}
	if status, _ := b.post("code", "BBBBBBBB"); status != http.StatusTooManyRequests {
		t.Fatalf("guessing codes: %d", status)
	}
}

// browser keeps cookies and the hidden field of the last page.
type browser struct {
	w      *world
	cookie string
	token  string
}

func newBrowser(w *world) *browser { return &browser{w: w} }

var hiddenToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

func (b *browser) get(path string) string {
	b.w.t.Helper()
	_, a, head := b.w.do("GET", path, "", "")
	b.cookie = strings.SplitN(head.Get("Set-Cookie"), ";", 2)[0]
	if head.Get("Content-Security-Policy") == "" || head.Get("X-Frame-Options") != "DENY" {
		b.w.t.Errorf("the page can be framed: %v", head)
	}
	b.token = hiddenToken.FindStringSubmatch(a.text("text"))[1]
	return a.text("text")
}

func (b *browser) post(pairs ...string) (int, string) { return b.send(b.w.base, pairs...) }

func (b *browser) send(origin string, pairs ...string) (int, string) {
	b.w.t.Helper()
	f := url.Values{"token": {b.token}}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	status, a, _ := b.w.do("POST", "/devicelogin", "application/x-www-form-urlencoded", f.Encode(), "Cookie", b.cookie, "Origin", origin)
	return status, a.text("text")
}

func TestTooManyFailures(t *testing.T) {
	w := newWorld(t)
	try := func(password string) (int, answer) {
		return w.post("/adfs/oauth2/token", "client_id", azCLI, "grant_type", "password", "username", w.admin.User, "password", password, "scope", w.base+"/.default")
	}
	for range throttleUser {
		if status, a := try("x"); status != 400 || !strings.Contains(a.text("error_description"), "AADSTS50126") {
			t.Fatalf("%d %v", status, a)
		}
	}
	if status, a := try(w.admin.Password); status != 400 || !strings.Contains(a.text("error_description"), "AADSTS50053") {
		t.Fatalf("after %d failures: %d %v", throttleUser, status, a)
	}
	later := time.Now().Add(throttleWindow)
	w.Handler.throttle.now = func() time.Time { return later }
	if status, a := try(w.admin.Password); status != 200 {
		t.Fatalf("after the window: %d %v", status, a)
	}
}

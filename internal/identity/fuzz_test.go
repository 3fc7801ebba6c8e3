package identity

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAudienceOf(t *testing.T) {
	for scope, want := range map[string]string{
		"https://h:8443//.default openid":                 "https://h:8443/",
		"openid offline_access https://h/.default":        "https://h",
		"https://h/msgraph//.default":                     "https://h/msgraph/",
		"https://graph.microsoft.com/User.Read":           "https://graph.microsoft.com",
		"https://management.azure.com/user_impersonation": "https://management.azure.com",
		aksServerApp + "/.default":                        aksServerApp,
		"https://h":                                       "https://h", "https://h/": "https://h/", "api://x/.default": "api://x",
		"openid profile": "", "": "", "/": "/", "/.default": "/.default", ".default": ".default",
	} {
		if got, _ := audienceOf(scope); got != want {
			t.Errorf("audienceOf(%q) = %q, want %q", scope, got, want)
		}
	}
}

func FuzzScope(f *testing.F) {
	for _, s := range []string{"https://h//.default openid", "/", "a/b c/d", "openid", "\x00/ //"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		resource, all := audienceOf(s)
		if strings.ContainsAny(resource, " \t\n") || resource != "" && !strings.Contains(s, resource) {
			t.Fatalf("audienceOf(%q) = %q", s, resource)
		}
		if strings.Join(all, " ") != strings.Join(strings.Fields(s), " ") {
			t.Fatalf("audienceOf(%q) names %q", s, all)
		}
		if n := normalScope(s); n != "/" && (strings.Contains(n, "//") || strings.HasSuffix(n, "/") || n[0] != '/') {
			t.Fatalf("normalScope(%q) = %q", s, n)
		}
	})
}

func FuzzFormBody(f *testing.F) {
	for _, s := range []string{"a=b&a=c", "grant_type=password&scope=%zz", "%", "&&&=;", strings.Repeat("a=b&", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/adfs/oauth2/token", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		values, err := form(httptest.NewRecorder(), r)
		if err == nil && len(body) > maxForm {
			t.Fatal("a large body was read")
		}
		if err != nil && values != nil {
			t.Fatalf("values and an error: %v", err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/adfs/x/oauth2/token", "/common/v2.0/.well-known/openid-configuration", "//", "/a/oauth2", "adfs"} {
		f.Add(s)
	}
	h := &Handler{site: site{base: "https://h", tenant: "22222222-2222-2222-2222-222222222222", domain: Domain}}
	f.Fuzz(func(t *testing.T, path string) {
		p, ok := parsePath(path)
		if ok && !p.adfs && p.tenant == "" || strings.Contains(p.tenant, "/") {
			t.Fatalf("parsePath(%q) = %+v", path, p)
		}
		first, _, _ := strings.Cut(strings.TrimLeft(strings.ToLower(path), "/"), "/")
		if h.Owns(path) && (first == "subscriptions" || first == "providers" || first == "tenants") {
			t.Fatalf("%q is Resource Manager's", path)
		}
	})
}

func FuzzGraphFilter(f *testing.F) {
	for _, s := range []string{"displayName eq 'a''b'", "startswith(displayName,'x') or id eq 'y' and mail eq 'z'", "servicePrincipalNames/any(c:c eq 'x')", "((", "' or '"} {
		f.Add(s)
	}
	o := object{"displayName": "a'b", "id": "y", "servicePrincipalNames": []string{"x"}}
	f.Fuzz(func(t *testing.T, s string) {
		keep, err := parseFilter(s)
		if err == nil {
			keep(o)
		}
	})
}

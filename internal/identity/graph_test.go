package identity

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// graph asks Microsoft Graph with a token.
func (w *world) graphAs(token, method, path string, body any) (int, answer) {
	w.t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			w.t.Fatal(err)
		}
	}
	status, a, _ := w.do(method, "/msgraph/v1.0/"+path, "application/json", b.String(), "Authorization", "Bearer "+token)
	return status, a
}

func filtered(path, filter string) string { return path + "?$filter=" + url.QueryEscape(filter) }

func values(a answer) []any { v, _ := a["value"].([]any); return v }

func TestGraphCreateForRBAC(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.base + "/msgraph//.default")
	for _, path := range []string{filtered("servicePrincipals", "displayName eq 'mysp'"), filtered("applications", "startswith(displayName,'mysp')")} {
		if status, a := w.graphAs(token, "GET", path, nil); status != 200 || len(values(a)) != 0 {
			t.Fatalf("%s: %d %v", path, status, a)
		}
	}
	status, app := w.graphAs(token, "POST", "applications", map[string]any{"displayName": "mysp", "keyCredentials": []any{}})
	if status != 201 || app.text("id") == "" || app.text("appId") == "" || app["passwordCredentials"] == nil || app["keyCredentials"] == nil {
		t.Fatalf("application: %d %v", status, app)
	}
	status, secret := w.graphAs(token, "POST", "applications/"+app.text("id")+"/addPassword", map[string]any{"passwordCredential": map[string]any{"displayName": "rbac", "endDateTime": "2099-11-22T07:10:32Z"}})
	if status != 200 || secret.text("secretText") == "" || secret.text("keyId") == "" || secret.text("endDateTime") != "2099-11-22T07:10:32Z" {
		t.Fatalf("password: %d %v", status, secret)
	}
	signIn := func() (int, answer) {
		return w.post("/adfs/oauth2/token", "grant_type", "client_credentials", "client_id", app.text("appId"), "client_secret", secret.text("secretText"), "scope", w.base+"/msgraph/.default")
	}
	if status, a := signIn(); status != 401 || !strings.Contains(a.text("error_description"), "AADSTS7000112") {
		t.Fatalf("without a service principal: %d %v", status, a)
	}
	status, sp := w.graphAs(token, "POST", "servicePrincipals", map[string]any{"appId": app.text("appId"), "accountEnabled": true})
	if status != 201 || sp.text("id") == "" {
		t.Fatalf("service principal: %d %v", status, sp)
	}
	if status, _ := w.graphAs(token, "POST", "servicePrincipals", map[string]any{"appId": app.text("appId")}); status != 409 {
		t.Fatalf("a second service principal: %d", status)
	}
	status, a := signIn()
	if status != 200 {
		t.Fatalf("sign-in: %d %v", status, a)
	}
	mine := a.text("access_token")
	status, found := w.graphAs(mine, "GET", filtered("servicePrincipals", "servicePrincipalNames/any(c:c eq '"+app.text("appId")+"')"), nil)
	if status != 200 || len(values(found)) != 1 || values(found)[0].(map[string]any)["id"] != sp.text("id") {
		t.Fatalf("look-up: %d %v", status, found)
	}

	admin, err := w.Directory.Application(t.Context(), w.admin.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"POST", "applications/" + admin.ID + "/addPassword", map[string]any{}},
		{"POST", "applications/" + app.text("id") + "/addPassword", map[string]any{}},
		{"POST", "applications", map[string]any{"displayName": "x"}},
		{"POST", "users", map[string]any{"displayName": "x"}},
		{"POST", "groups", map[string]any{"displayName": "x"}},
		{"DELETE", "applications/" + admin.ID, nil},
		{"DELETE", "servicePrincipals/" + admin.ServicePrincipal, nil},
		{"DELETE", "users/" + w.Tenant.AdminUser, nil},
	} {
		if status, a := w.graphAs(mine, c.method, c.path, c.body); status != 403 {
			t.Errorf("somebody without rights: %s %s: %d %v", c.method, c.path, status, a)
		}
	}

	if status, a := w.graphAs(token, "POST", "applications/"+app.text("id")+"/removePassword", map[string]any{"keyId": secret.text("keyId")}); status != 204 {
		t.Fatalf("remove the password: %d %v", status, a)
	}
	if status, _ := signIn(); status != 401 {
		t.Fatalf("sign-in with a removed password: %d", status)
	}
	if status, a := w.graphAs(token, "DELETE", "applications/"+app.text("id"), nil); status != 204 {
		t.Fatalf("delete: %d %v", status, a)
	}
	if status, _ := w.graphAs(token, "GET", "servicePrincipals/"+sp.text("id"), nil); status != 404 {
		t.Fatalf("the service principal of a deleted application: %d", status)
	}
}

func TestGraphUsersAndGroups(t *testing.T) {
	w := newWorld(t)
	_, a := w.post("/adfs/oauth2/token", "client_id", azCLI, "grant_type", "password", "username", w.admin.User, "password", w.admin.Password, "scope", w.base+"/msgraph/.default")
	token := a.text("access_token")
	if status, me := w.graphAs(token, "GET", "me", nil); status != 200 || me.text("userPrincipalName") != w.admin.User {
		t.Fatalf("me: %d %v", status, me)
	}
	bob := map[string]any{"displayName": "Bob", "userPrincipalName": "Bob@" + Domain, "accountEnabled": true, "passwordProfile": map[string]any{"password": "correct horse battery"}}
	status, user := w.graphAs(token, "POST", "users", bob)
	if status != 201 || user.text("userPrincipalName") != "bob@"+Domain {
		t.Fatalf("user: %d %v", status, user)
	}
	if status, a := w.graphAs(token, "POST", "users", bob); status != 400 {
		t.Fatalf("the same name again: %d %v", status, a)
	}
	if status, a := w.post("/adfs/oauth2/token", "client_id", azCLI, "grant_type", "password", "username", "bob@"+Domain, "password", "correct horse battery", "scope", w.base+"/.default"); status != 200 {
		t.Fatalf("sign-in: %d %v", status, a)
	}
	status, group := w.graphAs(token, "POST", "groups", map[string]any{"displayName": "ops", "mailNickname": "ops"})
	if status != 201 {
		t.Fatalf("group: %d %v", status, group)
	}
	member := map[string]any{"@odata.id": w.base + "/msgraph/v1.0/directoryObjects/" + user.text("id")}
	if status, a := w.graphAs(token, "POST", "groups/"+group.text("id")+"/members/$ref", member); status != 204 {
		t.Fatalf("member: %d %v", status, a)
	}
	if status, a := w.graphAs(token, "GET", "groups/"+group.text("id")+"/members", nil); status != 200 || len(values(a)) != 1 {
		t.Fatalf("members: %d %v", status, a)
	}
	eventually(t, func() bool { return len(w.Authorizer.Groups(user.text("id"))) == 1 })
	status, a = w.graphAs(token, "POST", "directoryObjects/getByIds", map[string]any{"ids": []string{user.text("id"), group.text("id"), newID(), "x"}, "types": []string{"user", "group"}})
	if status != 200 || len(values(a)) != 2 || values(a)[0].(map[string]any)["userPrincipalName"] != "bob@"+Domain {
		t.Fatalf("getByIds: %d %v", status, a)
	}
	if status, a := w.graphAs(token, "DELETE", "users/"+user.text("id"), nil); status != 204 {
		t.Fatalf("delete: %d %v", status, a)
	}
	if _, err := w.Directory.User(t.Context(), "bob@"+Domain); err != ErrUnknown {
		t.Fatalf("the deleted user: %v", err)
	}
}

func TestGraphRefuses(t *testing.T) {
	w := newWorld(t)
	if status, a := w.graphAs("x", "GET", "me", nil); status != 401 {
		t.Errorf("a bad token: %d %v", status, a)
	}
	if status, a := w.graphAs(w.token(w.base+"/.default"), "GET", "users", nil); status != 401 || a["error"].(map[string]any)["code"] != "InvalidAuthenticationTokenAudience" {
		t.Errorf("a token for Resource Manager: %d %v", status, a)
	}
	token := w.token(w.base + "/msgraph/.default")
	for path, want := range map[string]int{"me": 400, "planets": 400, "users/nobody": 404, filtered("users", "color gt 3"): 400, "groups/x/owners": 400, "": 400} {
		if status, a := w.graphAs(token, "GET", path, nil); status != want {
			t.Errorf("%s: %d %v", path, status, a)
		}
	}
	if status, a, _ := w.do("POST", "/msgraph/v1.0/applications", "application/json", `{"displayName":"`+strings.Repeat("a", maxGraphBody)+`"}`, "Authorization", "Bearer "+token); status != 400 {
		t.Errorf("a large body: %d %v", status, a)
	}
}

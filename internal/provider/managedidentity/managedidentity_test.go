package managedidentity_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/provider/managedidentity"
	"cloister.dev/cloister/internal/store/storetest"
)

// somebody is the administrator, whatever the request says.
type somebody struct{ id string }

func (s somebody) Authenticate(*http.Request) (arm.Principal, error) {
	return arm.Principal{ObjectID: s.id}, nil
}

func TestUserAssignedIdentity(t *testing.T) {
	st := storetest.New(t)
	admin, err := identity.Bootstrap(t.Context(), st, config.Default())
	if err != nil {
		t.Fatal(err)
	}
	service, err := identity.Open(t.Context(), st, config.Default())
	if err != nil {
		t.Fatal(err)
	}
	srv, err := arm.NewServer(arm.Options{
		Store: st, Authenticator: somebody{service.Tenant.AdminUser}, Authorizer: service.Authorizer, BaseURL: "https://arm.test", TenantID: admin.TenantID,
		Types:     append(managedidentity.Types(admin.TenantID), &arm.Type{Name: "Microsoft.Resources/resourceGroups"}),
		Locations: []string{"eastus"},
	})
	if err != nil {
		t.Fatal(err)
	}
	group := "/subscriptions/" + admin.SubscriptionID + "/resourceGroups/rg"
	path := group + "/providers/" + managedidentity.TypeName + "/id1"
	do := func(method, path, body string) (int, map[string]any) {
		w := httptest.NewRecorder()
		srv.Handler().ServeHTTP(w, httptest.NewRequest(method, path+"?api-version=2023-01-31", bytes.NewBufferString(body)))
		var doc map[string]any
		if w.Body.Len() > 0 {
			if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
		}
		return w.Code, doc
	}
	if status, doc := do("PUT", group, `{"location":"eastus"}`); status != 201 {
		t.Fatalf("group: %d %v", status, doc)
	}
	status, doc := do("PUT", path, `{"location":"eastus","properties":{"principalId":"`+service.Tenant.AdminUser+`"}}`)
	if status != 201 {
		t.Fatalf("create: %d %v", status, doc)
	}
	made, _ := doc["properties"].(map[string]any)
	object, _ := made["principalId"].(string)
	p, err := service.Directory.Principal(t.Context(), object)
	if err != nil || p.Kind != identity.KindManagedIdentity || p.AppID != made["clientId"] || made["tenantId"] != admin.TenantID || object == service.Tenant.AdminUser {
		t.Fatalf("properties %v, principal %+v, %v", made, p, err)
	}
	status, doc = do("PUT", path, `{"location":"eastus","tags":{"a":"b"}}`)
	if again, _ := doc["properties"].(map[string]any); status != 200 || again["principalId"] != object || again["clientId"] != made["clientId"] {
		t.Fatalf("update: %d %v", status, doc)
	}
	if status, doc := do("PUT", group+"/providers/"+managedidentity.TypeName+"/x", `{"location":"eastus"}`); status != 400 {
		t.Fatalf("a name that is too short: %d %v", status, doc)
	}
	if status, doc := do("DELETE", path, ""); status != 200 {
		t.Fatalf("delete: %d %v", status, doc)
	}
	if _, err := service.Directory.Principal(t.Context(), object); err != identity.ErrUnknown {
		t.Fatalf("the principal stays: %v", err)
	}
}

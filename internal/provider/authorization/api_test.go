package authorization_test

import (
	"net/http"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/provider/authorization"
	"cloister.dev/cloister/internal/store/storetest"
	"cloister.dev/cloister/test/api"
)

// people tells who somebody is by the token, which is the object id.
type people struct{}

func (people) Authenticate(r *http.Request) (arm.Principal, error) {
	id := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	return arm.Principal{ObjectID: id, AppID: id, Kind: identity.KindServicePrincipal}, nil
}

func TestAPI(t *testing.T) {
	api.Run(t, "testdata/api", func(t *testing.T) api.Target {
		st := storetest.New(t)
		admin, err := identity.Bootstrap(t.Context(), st, config.Default())
		if err != nil {
			t.Fatal(err)
		}
		service, err := identity.Open(t.Context(), st, config.Default())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = service.Run(t.Context()) }()
		app, err := service.Directory.Application(t.Context(), admin.ClientID)
		if err != nil {
			t.Fatal(err)
		}
		sub := "/subscriptions/" + admin.SubscriptionID
		cluster, _, err := service.Directory.EnsureManagedIdentity(t.Context(), sub+"/resourceGroups/rg/providers/Toy.Net/nets/owner")
		if err != nil {
			t.Fatal(err)
		}
		srv, err := arm.NewServer(arm.Options{
			Store: st, Authenticator: people{}, Authorizer: service.Authorizer, BaseURL: "https://arm.test", TenantID: admin.TenantID,
			Types: append(authorization.Types(service.Directory),
				&arm.Type{Name: "Microsoft.Resources/resourceGroups"}, &arm.Type{Name: "Toy.Net/nets"}, &arm.Type{Name: "Toy.Net/nets/parts"}),
			Routes: authorization.Routes(service.Authorizer), HasSubscription: service.Directory.HasSubscription,
		})
		if err != nil {
			t.Fatal(err)
		}
		rg := sub + "/resourceGroups/rg"
		return api.Target{
			Handler: srv.Handler(),
			Vars: map[string]string{
				"sub": sub, "rg": rg, "net": rg + "/providers/Toy.Net/nets/n", "auth": "providers/Microsoft.Authorization",
				"alice": alice, "admin": app.ServicePrincipal, "cluster": cluster,
				"owner": identity.RoleOwner, "reader": identity.RoleReader, "network": identity.RoleNetworkContributor, "uaa": identity.RoleUserAccessAdministrator,
				"contributor": identity.RoleContributor,
			},
			Tokens: map[string]string{"admin": app.ServicePrincipal, "alice": alice},
		}
	})
}

const alice = "a11ce000-0000-4000-8000-000000000001"

package privatedns_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/provider/network"
	"cloister.dev/cloister/internal/provider/privatedns"
	"cloister.dev/cloister/internal/provider/resources"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
	"cloister.dev/cloister/test/api"
)

const (
	sub = "/subscriptions/22222222-2222-2222-2222-222222222222"
	rg  = sub + "/resourceGroups/rg"
)

// people is Authenticator and Authorizer: the token is the name. admin may do all, reader
// may read, keeper may do all with zones and nothing with networks.
type people struct{}

func (people) Authenticate(r *http.Request) (arm.Principal, error) {
	return arm.Principal{ObjectID: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), Kind: "User"}, nil
}

func (people) Authorize(_ context.Context, p arm.Principal, action, scope string) error {
	switch {
	case p.ObjectID == "admin", p.ObjectID == "reader" && strings.HasSuffix(action, "/read"):
		return nil
	case p.ObjectID == "keeper" && strings.HasPrefix(action, "Microsoft.Network/privateDnsZones/"):
		return nil
	}
	return arm.Errorf(403, "AuthorizationFailed", "The client '%s' does not have authorization to perform action '%s' over scope '%s'.", p.ObjectID, action, scope)
}

func newServer(t testing.TB, s store.Store) *arm.Server {
	t.Helper()
	c := config.Default()
	server, err := arm.NewServer(arm.Options{Store: s, Authenticator: people{}, Authorizer: people{}, BaseURL: "https://arm.test", Locations: c.Regions})
	if err != nil {
		t.Fatal(err)
	}
	groups := resources.Deps{Store: s, Regions: c.Regions, Types: server.Types}
	groupTypes, groupRoutes := resources.New(groups)
	types := slices.Concat(network.Types(network.Deps{Store: s, Config: c, Writer: server}), groupTypes, privatedns.Types(privatedns.Deps{Store: s}))
	if err := server.Add(types, slices.Concat(groupRoutes, privatedns.Routes())); err != nil {
		t.Fatal(err)
	}
	return server
}

// TestAPI runs the folders of steps in testdata/api against the real types.
func TestAPI(t *testing.T) {
	api.Run(t, "testdata/api", func(t *testing.T) api.Target {
		s := storetest.New(t)
		server := newServer(t, s)
		done := make(chan error, 1)
		go func() { done <- reconcile.Run(t.Context(), s, slog.New(slog.DiscardHandler), server.Reconcilers()) }()
		t.Cleanup(func() {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		return api.Target{
			Handler: server.Handler(),
			Vars: map[string]string{
				"sub": sub, "rg": rg, "vnet": rg + "/providers/Microsoft.Network/virtualNetworks", "zones": rg + "/providers/Microsoft.Network/privateDnsZones",
				"long": strings.Repeat("a", 63),
			},
			Tokens: map[string]string{"admin": "admin", "reader": "reader", "keeper": "keeper"},
		}
	})
}

package resources_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/resources"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
	"cloister.dev/cloister/test/api"
)

const sub = "/subscriptions/22222222-2222-2222-2222-222222222222"

// people is Authenticator and Authorizer: the token is the name. admin may do all, reader may
// read, network may do what Azure's role Network Contributor allows.
type people struct{}

func (people) Authenticate(r *http.Request) (arm.Principal, error) {
	return arm.Principal{ObjectID: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), Kind: "User"}, nil
}

func (people) Authorize(_ context.Context, p arm.Principal, action, scope string) error {
	switch {
	case p.ObjectID == "admin", p.ObjectID == "reader" && strings.HasSuffix(action, "/read"):
		return nil
	case p.ObjectID == "network" && action == "Microsoft.Resources/subscriptions/resourceGroups/read":
		return nil
	}
	return arm.Errorf(403, "AuthorizationFailed", "The client '%s' does not have authorization to perform action '%s' over scope '%s'.", p.ObjectID, action, scope)
}

// owner is a type that makes a resource group of its own.
func owner(s *arm.Server) *arm.Type {
	return &arm.Type{
		Name: "Toy.Test/owners", Tracked: true, APIVersions: []string{"2024-01-01"},
		Reconcile: func(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
			_, err := s.Write(ctx, arm.System, sub+"/resourceGroups/managed", map[string]any{"location": "eastus"}, r.ID)
			return arm.Progress{Done: true}, err
		},
	}
}

// TestAPI runs the folders of steps in testdata/api against the real types.
func TestAPI(t *testing.T) {
	api.Run(t, "testdata/api", func(t *testing.T) api.Target {
		var s store.Store = storetest.New(t)
		regions := []string{"eastus", "westeurope"}
		server, err := arm.NewServer(arm.Options{Store: s, Authenticator: people{}, Authorizer: people{}, BaseURL: "https://arm.test", Locations: regions})
		if err != nil {
			t.Fatal(err)
		}
		d := resources.Deps{Store: s, Regions: regions, Types: server.Types}
		if err := server.Add(append(resources.Types(d), owner(server)), resources.Routes(d)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- reconcile.Run(ctx, s, slog.New(slog.DiscardHandler), server.Reconcilers()) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return api.Target{
			Handler: server.Handler(), Vars: map[string]string{"sub": sub},
			Tokens: map[string]string{"admin": "admin", "reader": "reader", "network": "network"},
		}
	})
}

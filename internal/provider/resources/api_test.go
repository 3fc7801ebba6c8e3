package resources_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/resources"
	"cloister.dev/cloister/internal/provider/resources/deployments"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/seal"
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

// thing is a type that takes a moment, fails where properties.fail says so, and keeps a secret that it lists.
func thing() *arm.Type {
	return &arm.Type{
		Name: "Toy.Make/things", Tracked: true, Async: true, APIVersions: []string{"2024-01-01"},
		Reconcile: func(_ context.Context, r *arm.Resource) (arm.Progress, error) {
			switch {
			case r.Properties()["fail"] == true:
				return arm.Progress{}, arm.Terminal(arm.Conflict("ThingBroke", "The thing '%s' broke, as it was told.", r.Name))
			case r.Properties()["hang"] == true, time.Since(r.ChangedAt) < 20*time.Millisecond:
				return arm.Progress{After: 20 * time.Millisecond}, nil
			}
			r.Properties()["made"] = "of " + r.Name
			return arm.Progress{Done: true}, nil
		},
		Actions: map[string]arm.Action{"listkeys": {Run: func(_ context.Context, a *arm.ActionRequest) (any, error) {
			return map[string]any{"key": "key of " + a.Resource.Name}, nil
		}}},
	}
}

// newServer is the real types over a store, with reconcilers that run until the test ends.
func newServer(t *testing.T, s store.Store) *arm.Server {
	t.Helper()
	regions := []string{"eastus", "westeurope"}
	server, err := arm.NewServer(arm.Options{Store: s, Authenticator: people{}, Authorizer: people{}, BaseURL: "https://arm.test", Locations: regions})
	if err != nil {
		t.Fatal(err)
	}
	d := resources.Deps{Store: s, Regions: regions, Types: server.Types}
	d.Deployments = deployments.Deps{Store: s, Kernel: server, Box: seal.New(), BaseURL: "https://arm.test", TenantID: "11111111-1111-1111-1111-111111111111"}
	types, routes := resources.New(d)
	if err := server.Add(append(types, owner(server), thing()), routes); err != nil {
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
	return server
}

// TestSecretsAreSealed: what a secure parameter holds stands nowhere in the store in clear, and nowhere at all once
// the deployment has ended.
func TestSecretsAreSealed(t *testing.T) {
	s := storetest.New(t)
	server := newServer(t, s)
	ctx, group := t.Context(), sub+"/resourceGroups/rg"
	if _, err := server.Write(ctx, arm.System, group, map[string]any{"location": "eastus"}, ""); err != nil {
		t.Fatal(err)
	}
	id := group + "/providers/" + deployments.Name + "/d"
	sealed := func() bool {
		docs, _, err := s.List(ctx, "/")
		if err != nil {
			t.Fatal(err)
		}
		kept := false
		for _, d := range docs {
			if strings.Contains(string(d.Value), "Secret-1") {
				t.Errorf("%s holds the secret: %s", d.Key, d.Value)
			}
			kept = kept || strings.Contains(string(d.Value), `"sealed"`)
		}
		return kept
	}
	if _, err := server.Write(ctx, arm.System, id, map[string]any{"properties": map[string]any{
		"mode": "Incremental", "parameters": map[string]any{"p": map[string]any{"value": "Secret-1"}},
		"template": map[string]any{
			"$schema": "deploymentTemplate.json", "contentVersion": "1", "parameters": map[string]any{"p": map[string]any{"type": "secureString"}},
			"resources": []any{map[string]any{"type": "Toy.Make/things", "apiVersion": "1", "name": "t", "location": "eastus", "properties": map[string]any{"n": "[length(parameters('p'))]"}}},
			"outputs":   map[string]any{"o": map[string]any{"type": "secureString", "value": "[parameters('p')]"}},
		},
	}}, ""); err != nil {
		t.Fatal(err)
	}
	if !sealed() {
		t.Error("nothing is kept: the test looks for the wrong thing")
	}
	for begin := time.Now(); sealed(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the sealed parameters are kept for ever")
		}
	}
	doc, err := server.Show(ctx, arm.System, group+"/providers/Toy.Make/things/t")
	if err != nil || doc["properties"].(map[string]any)["n"] != float64(8) {
		t.Error(doc, err)
	}
}

// TestAPI runs the folders of steps in testdata/api against the real types.
func TestAPI(t *testing.T) {
	api.Run(t, "testdata/api", func(t *testing.T) api.Target {
		server := newServer(t, storetest.New(t))
		return api.Target{
			Handler: server.Handler(), Vars: map[string]string{"sub": sub},
			Tokens: map[string]string{"admin": "admin", "reader": "reader", "network": "network"},
		}
	})
}

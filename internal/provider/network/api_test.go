package network_test

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
	"cloister.dev/cloister/internal/provider/resources"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
	"cloister.dev/cloister/test/api"
)

const sub = "/subscriptions/22222222-2222-2222-2222-222222222222"

// people is Authenticator and Authorizer: the token is the name. admin may do all, reader may
// read, stranger may do all but use what belongs to the network.
type people struct{}

func (people) Authenticate(r *http.Request) (arm.Principal, error) {
	return arm.Principal{ObjectID: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), Kind: "User"}, nil
}

func (people) Authorize(_ context.Context, p arm.Principal, action, scope string) error {
	switch {
	case p.ObjectID == "admin", p.ObjectID == "reader" && strings.HasSuffix(action, "/read"):
		return nil
	case p.ObjectID == "stranger" && !strings.HasSuffix(action, "/join/action") && !strings.HasSuffix(action, "Approval/action"):
		return nil
	}
	return arm.Errorf(403, "AuthorizationFailed", "The client '%s' does not have authorization to perform action '%s' over scope '%s'.", p.ObjectID, action, scope)
}

// others are plain types in place of other providers'.
func others() []*arm.Type {
	return []*arm.Type{
		{Name: "Microsoft.Network/privateDnsZones", Tracked: true, Global: true},
		{Name: "Microsoft.Network/privateDnsZones/A"},
		{Name: "Microsoft.Authorization/roleAssignments", Extension: true},
		{Name: "Microsoft.ContainerService/managedClusters", Tracked: true, Admit: func(_ context.Context, w *arm.Write) error {
			w.New.Private = map[string]any{"names": map[string]any{"cluster": w.ID.Name()}}
			w.Tx.Put(spec.ClusterKey(w.ID.Name()), spec.Cluster{Name: w.ID.Name(), PrivateFQDN: "api-1a2b3c4d.privatelink.eastus.azmk8s.io"})
			return nil
		}},
	}
}

func newServer(t testing.TB, s store.Store) *arm.Server {
	t.Helper()
	server, err := arm.NewServer(arm.Options{Store: s, Authenticator: people{}, Authorizer: people{}, BaseURL: "https://arm.test", Locations: config.Default().Regions})
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	net := network.Deps{Store: s, Config: c, Writer: server}
	groups := resources.Deps{Store: s, Regions: c.Regions, Types: server.Types}
	groupTypes, groupRoutes := resources.New(groups)
	types := slices.Concat(network.Types(net), groupTypes, others())
	if err := server.Add(types, slices.Concat(network.Routes(net), groupRoutes)); err != nil {
		t.Fatal(err)
	}
	return server
}

// run runs the reconcilers, and a fabric that attaches at once what it is told to.
func run(t testing.TB, s store.Store, server *arm.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done, fabric := make(chan error, 1), make(chan struct{})
	go func() { done <- reconcile.Run(ctx, s, slog.New(slog.DiscardHandler), server.Reconcilers()) }()
	go func() {
		defer close(fabric)
		for e := range s.Watch(ctx, "/spec/", 0) {
			key := spec.StatusKey(e.Key)
			tx := (&store.Tx{}).Put(key, spec.AttachStatus{Ready: true})
			if e.Deleted {
				tx = (&store.Tx{}).Delete(key)
			}
			if _, err := s.Commit(ctx, tx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-fabric
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestAPI runs the folders of steps in testdata/api against the real types.
func TestAPI(t *testing.T) {
	api.Run(t, "testdata/api", func(t *testing.T) api.Target {
		s := storetest.New(t)
		server := newServer(t, s)
		run(t, s, server)
		rg := sub + "/resourceGroups/rg"
		return api.Target{
			Handler: server.Handler(),
			Vars: map[string]string{
				"sub": sub, "rg": rg, "net": rg + "/providers/Microsoft.Network", "vnet": rg + "/providers/Microsoft.Network/virtualNetworks",
				"aks": rg + "/providers/Microsoft.ContainerService/managedClusters",
			},
			Tokens: map[string]string{"admin": "admin", "reader": "reader", "stranger": "stranger"},
		}
	})
}

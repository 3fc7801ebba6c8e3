package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/kubernetes"
	"cloister.dev/cloister/internal/provider/authorization"
	"cloister.dev/cloister/internal/provider/compute"
	"cloister.dev/cloister/internal/provider/containerservice"
	"cloister.dev/cloister/internal/provider/managedidentity"
	"cloister.dev/cloister/internal/provider/network"
	"cloister.dev/cloister/internal/provider/privatedns"
	"cloister.dev/cloister/internal/provider/resources"
	"cloister.dev/cloister/internal/provider/resources/deployments"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/seal"
	"cloister.dev/cloister/internal/store"
)

// newEndpoint makes what answers at the ARM endpoint.
func newEndpoint(ctx context.Context, c config.Config, s store.Store, log *slog.Logger) (*identity.Service, *arm.Server, error) {
	ids, err := identity.Open(ctx, s, c)
	if err != nil {
		return nil, nil, fmt.Errorf("identity: %w", err)
	}
	server, err := newServer(c, s, ids, log)
	return ids, server, err
}

// Endpoint is what answers at the ARM endpoint over a store, with the reconcilers of its resource types: the same
// that Serve runs, without a machine behind it. It follows changes of the directory until ctx ends.
func Endpoint(ctx context.Context, c config.Config, s store.Store, log *slog.Logger) (http.Handler, []reconcile.Reconciler, error) {
	ids, server, err := newEndpoint(ctx, c, s, log)
	if err != nil {
		return nil, nil, err
	}
	go func() {
		if err := ids.Run(ctx); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "identity", "error", err)
		}
	}()
	return handler(server, ids), server.Reconcilers(), nil
}

// openBox is what encrypts secrets in the store. Where nothing is kept (an endpoint without a machine), its key is in memory.
func openBox(c config.Config) (*seal.Box, error) {
	if _, err := os.Stat(c.DataDir); err != nil {
		return seal.New(), nil
	}
	return seal.Open(sealFile(c))
}

// newServer lists every resource type. A new provider is a line here.
func newServer(c config.Config, s store.Store, ids *identity.Service, log *slog.Logger) (*arm.Server, error) {
	server, err := arm.NewServer(arm.Options{
		Store: s, Authenticator: ids.Authenticator, Authorizer: ids.Authorizer, BaseURL: c.BaseURL(), TenantID: ids.Tenant.ID,
		Room:      newRoom(c, s).check,
		Locations: c.Regions, HasSubscription: ids.Directory.HasSubscription, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	net := network.Deps{Store: s, Config: c, Writer: server}
	machines := compute.Deps{Store: s, Regions: c.Regions}
	clusters := containerservice.Deps{Store: s, Kernel: server, Authorizer: ids.Authorizer, TenantID: ids.Tenant.ID, IssuerURL: c.BaseURL() + "/oidc", Versions: kubernetes.Versions()}
	box, err := openBox(c)
	if err != nil {
		return nil, fmt.Errorf("key for secrets: %w", err)
	}
	groupTypes, groupRoutes := resources.New(resources.Deps{
		Store: s, Regions: c.Regions, Types: server.Types,
		Deployments: deployments.Deps{Store: s, Kernel: server, Box: box, BaseURL: c.BaseURL(), TenantID: ids.Tenant.ID},
	})
	types := slices.Concat(
		groupTypes,
		authorization.Types(ids.Directory),
		managedidentity.Types(ids.Tenant.ID),
		network.Types(net),
		privatedns.Types(privatedns.Deps{Store: s}),
		compute.Types(machines),
		containerservice.Types(clusters),
	)
	routes := slices.Concat(
		ids.Routes(c.Regions),
		groupRoutes,
		authorization.Routes(ids.Authorizer),
		network.Routes(net),
		privatedns.Routes(),
		compute.Routes(machines),
		containerservice.Routes(clusters),
	)
	return server, server.Add(types, routes)
}

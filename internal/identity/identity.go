package identity

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/store"
)

// Service is identity's parts, put together. Bootstrap comes first.
type Service struct {
	Tenant        Tenant
	Directory     *Directory
	Keys          *Keys
	Authenticator *Authenticator
	Authorizer    *Authorizer
	Handler       *Handler
}

// Open reads what decisions need. The service decides at once; Run keeps it up to date.
func Open(ctx context.Context, st store.Store, cfg config.Config) (*Service, error) {
	s := &Service{Directory: NewDirectory(st)}
	var err error
	if s.Tenant, err = s.Directory.Tenant(ctx); err != nil {
		return nil, fmt.Errorf("identity: tenant: %w", err)
	}
	if s.Keys, err = OpenKeys(ctx, st); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if s.Authorizer, err = OpenAuthorizer(ctx, st); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	at := newSite(s.Tenant, cfg)
	s.Authenticator = newAuthenticator(s.Keys, s.Authorizer, at, at.armAudiences())
	s.Handler = newHandler(s, at, time.Duration(cfg.TokenLifetime))
	return s, nil
}

// Run follows changes of keys and role assignments, and removes what expired, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Keys.Follow(ctx) })
	g.Go(func() error { return s.Authorizer.Follow(ctx) })
	g.Go(func() error { return s.Handler.sweep(ctx) })
	return g.Wait()
}

package identity

import (
	"errors"
	"net/http"
	"slices"

	"cloister.dev/cloister/internal/store"
)

// remove deletes an application with its service principal, or a principal.
// Managed identities go with their resource.
func (g *graph) remove(c *call, kind string) (int, any, error) {
	ctx := c.r.Context()
	err := g.directory.retry(ctx, func(tx *store.Tx) error {
		if kind == "applications" {
			a, err := g.application(ctx, c)
			if err != nil {
				return err
			}
			tx.Expect(keyApplications+a.AppID, a.Rev).Delete(keyApplications + a.AppID)
			if a.ServicePrincipal != "" {
				tx.Delete(keyPrincipals + a.ServicePrincipal)
			}
			return nil
		}
		p, err := g.directory.Principal(ctx, c.path[1])
		if errors.Is(err, ErrUnknown) || err == nil && !slices.Contains(collections[kind], p.Kind) {
			return noObject(c.path[1])
		}
		if err != nil {
			return err
		}
		if p.Kind == KindManagedIdentity {
			return graphError{400, "Request_BadRequest", "A managed identity is deleted with its resource " + p.ResourceID + "."}
		}
		return g.removePrincipal(c, p, tx)
	})
	return http.StatusNoContent, nil, err
}

func (g *graph) removePrincipal(c *call, p *Principal, tx *store.Tx) error {
	ctx := c.r.Context()
	mine := false
	if p.Kind == KindServicePrincipal {
		a, err := g.directory.Application(ctx, p.AppID)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
		if err == nil {
			mine = a.Owner == c.who.ObjectID
			a.ServicePrincipal = ""
			tx.Update(keyApplications+a.AppID, a.Rev, a)
		}
	}
	if !mine && !g.manages(c) {
		return errGraphDenied
	}
	if p.UserName != "" {
		tx.Delete(keyUsers + p.UserName)
	}
	tx.Expect(keyPrincipals+p.ID, p.Rev).Delete(keyPrincipals + p.ID)
	return nil
}

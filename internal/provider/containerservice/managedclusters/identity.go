package managedclusters

import (
	"context"
	"fmt"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

// setIdentity gives the cluster the identity that it asks for. The identity that the system assigns is made in the
// transaction of the cluster: clients give it roles as soon as they have the first answer.
func (a *admission) setIdentity(ctx context.Context) error {
	w := a.w
	doc := shape.Doc(w.New.Body).Doc("identity")
	switch kind := doc.Str("type"); {
	case strings.EqualFold(kind, "SystemAssigned"):
		if len(w.Problems) > 0 {
			return nil
		}
		object, _, err := identity.AddManagedIdentity(ctx, w.Read.Store, w.Tx, w.ID.String())
		if err != nil {
			return fmt.Errorf("identity of the cluster: %w", err)
		}
		w.New.Body["identity"] = map[string]any{"type": "SystemAssigned", "principalId": object, "tenantId": a.TenantID}
		return nil
	case strings.EqualFold(kind, "UserAssigned"):
		if err := a.setUserIdentities(ctx, doc); err != nil {
			return err
		}
	case kind == "" || strings.EqualFold(kind, "None"):
		if s := a.props.Str("servicePrincipalProfile.clientId"); s == "" || s == "msi" {
			w.Fail("InvalidParameter", "identity.type", "The cluster needs an identity: SystemAssigned, UserAssigned (--assign-identity), or a service principal.")
		}
		delete(w.New.Body, "identity")
	default:
		w.Fail("InvalidParameter", "identity.type", "The identity type '%s' is not SystemAssigned or UserAssigned.", kind)
	}
	if a.old != nil && len(w.Problems) == 0 {
		return identity.RemoveManagedIdentity(ctx, w.Read.Store, w.Tx, w.ID.String())
	}
	return nil
}

func (a *admission) setUserIdentities(ctx context.Context, doc shape.Doc) error {
	ids := doc.Doc("userAssignedIdentities")
	if len(ids) != 1 {
		a.w.Fail("InvalidParameter", "identity.userAssignedIdentities", "A cluster has exactly one user-assigned identity; the request names %d.", len(ids))
		return nil
	}
	filled := map[string]any{}
	for id := range ids {
		r, err := a.w.Read.Get(ctx, id)
		if arm.IsNotFound(err) {
			a.w.Fail("UserAssignedIdentityNotFound", "identity.userAssignedIdentities", "The identity '%s' does not exist. Create it first: `az identity create`.", id)
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.w.Allowed(ctx, "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", id); err != nil {
			return err
		}
		p := shape.Doc(r.Properties())
		filled[id] = map[string]any{"principalId": p.Str("principalId"), "clientId": p.Str("clientId")}
	}
	a.w.New.Body["identity"] = map[string]any{"type": "UserAssigned", "userAssignedIdentities": filled}
	return nil
}

// Package managedidentity is Microsoft.ManagedIdentity: identities that are
// resources of their own and are given to other resources.
// https://learn.microsoft.com/rest/api/managedidentity/user-assigned-identities
package managedidentity

import (
	"context"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/identity"
)

// TypeName is the resource type.
const TypeName = "Microsoft.ManagedIdentity/userAssignedIdentities"

// Types lists the resource types of the namespace. The identities' principals belong to the tenant.
func Types(tenantID string) []*arm.Type {
	return []*arm.Type{{
		Name:        TypeName,
		APIVersions: []string{"2024-11-30", "2023-01-31", "2022-01-31-preview", "2018-11-30", "2015-08-31-preview"},
		Names:       regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$`),
		NameRule:    "3 to 128 letters, digits, dashes and underscores, beginning with a letter or digit",
		Tracked:     true,
		Admit: func(ctx context.Context, w *arm.Write) error {
			return admit(ctx, w, tenantID)
		},
		Release: release,
	}}
}

// admit gives a new identity its principal; whatever a client sends of it is ignored, it is read-only.
func admit(ctx context.Context, w *arm.Write, tenantID string) error {
	objectID, clientID, err := identity.AddManagedIdentity(ctx, w.Read.Store, w.Tx, w.ID.String())
	if err != nil {
		return err
	}
	if w.Old != nil && !strings.EqualFold(w.Old.Location(), w.New.Location()) {
		w.Fail("InvalidResourceLocation", "location", "The resource '%s' already exists in location '%s'. A resource cannot be moved; delete it first or use that location.", w.ID.Name(), w.Old.Location())
	}
	props := w.New.Properties()
	props["tenantId"], props["principalId"], props["clientId"] = tenantID, objectID, clientID
	return nil
}

// release removes the principal with the resource.
func release(ctx context.Context, w *arm.Write) error {
	return identity.RemoveManagedIdentity(ctx, w.Read.Store, w.Tx, w.ID.String())
}

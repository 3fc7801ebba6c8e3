package shape

import (
	"context"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/store"
)

// Kernel writes and deletes resources in Cloister's own name: *arm.Server does.
type Kernel interface {
	Write(ctx context.Context, p arm.Principal, id string, body map[string]any, managedBy string) (*arm.Resource, error)
	Delete(ctx context.Context, p arm.Principal, id string) (gone bool, err error)
}

// Deps is what the types of Microsoft.ContainerService need.
type Deps struct {
	Store      store.Store
	Kernel     Kernel
	Authorizer arm.Authorizer // asked about what a cluster's identity may do
	TenantID   string
	// IssuerURL is what clusters' service account issuers begin with (https://arm/oidc); the cluster's name and a slash follow.
	IssuerURL string
	Versions  Versions
}

// Read reads resources.
func (d Deps) Read() *arm.Resources { return &arm.Resources{Store: d.Store} }

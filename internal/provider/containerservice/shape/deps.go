package shape

import (
	"context"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/store"
)

// Kernel writes resources in Cloister's own name, with the same admission as a client's writes.
type Kernel interface {
	// Write creates or replaces the resource with this id; its work may still be going on afterwards.
	Write(ctx context.Context, id string, body map[string]any) (*arm.Resource, error)
	// Delete begins the removal of the resource; one that is not there is no error.
	Delete(ctx context.Context, id string) error
}

// Deps is what the types of Microsoft.ContainerService need.
type Deps struct {
	Store      store.Store
	Kernel     Kernel
	Authorizer arm.Authorizer // asked about what a cluster's identity may do
	TenantID   string
	// IssuerURL is what clusters' service account issuers begin with; the cluster's name follows.
	IssuerURL string
	Versions  Versions
}

// Read reads resources.
func (d Deps) Read() *arm.Resources { return &arm.Resources{Store: d.Store} }

// Package resources is the providers Microsoft.Resources and Microsoft.Features: resource groups,
// and what a subscription knows of providers, features and tags.
package resources

import (
	"slices"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/resources/features"
	"cloister.dev/cloister/internal/provider/resources/providers"
	"cloister.dev/cloister/internal/provider/resources/resourcegroups"
	"cloister.dev/cloister/internal/provider/resources/tags"
	"cloister.dev/cloister/internal/store"
)

// Deps is what the providers need.
type Deps struct {
	Store   store.Store
	Regions []string
	// Types lists the types of all providers, when it is asked.
	Types func() []*arm.Type
}

// Types lists the resource types.
func Types(Deps) []*arm.Type { return []*arm.Type{resourcegroups.New()} }

// Routes lists the operations that belong to no stored resource.
func Routes(d Deps) []arm.Route {
	return slices.Concat(providers.Routes(d.Store, d.Regions, d.Types), features.Routes(d.Store), tags.Routes())
}

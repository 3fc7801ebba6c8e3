// Package resources is the providers Microsoft.Resources and Microsoft.Features: resource groups,
// and what a subscription knows of providers, features and tags.
package resources

import (
	"slices"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/resources/deployments"
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
	// Deployments is what deployments need; without its Kernel there are none.
	Deployments deployments.Deps
}

// New lists the resource types, and the operations that belong to no stored resource.
func New(d Deps) ([]*arm.Type, []arm.Route) {
	types := []*arm.Type{resourcegroups.New()}
	routes := slices.Concat(providers.Routes(d.Store, d.Regions, d.Types), features.Routes(d.Store), tags.Routes())
	if d.Deployments.Kernel == nil {
		return types, routes
	}
	t, more := deployments.New(d.Deployments)
	return append(types, t), append(routes, more...)
}

// Package containerservice is the provider Microsoft.ContainerService: managed
// clusters, their agent pools, and what is asked about them.
package containerservice

import (
	"slices"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/agentpools"
	"cloister.dev/cloister/internal/provider/containerservice/connections"
	"cloister.dev/cloister/internal/provider/containerservice/locations"
	"cloister.dev/cloister/internal/provider/containerservice/managedclusters"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

// Deps is what the provider needs.
type Deps = shape.Deps

// Kernel writes resources in Cloister's own name.
type Kernel = shape.Kernel

// newestFirst orders the versions; the newest is the default one.
func newestFirst(d Deps) Deps {
	d.Versions = slices.Clone(d.Versions)
	slices.SortFunc(d.Versions, func(a, b string) int { return shape.Compare(b, a) })
	return d
}

// Types lists the provider's resource types.
func Types(d Deps) []*arm.Type {
	d = newestFirst(d)
	return []*arm.Type{managedclusters.New(d), agentpools.New(d)}
}

// Routes lists the provider's operations that belong to no stored resource.
func Routes(d Deps) []arm.Route {
	d = newestFirst(d)
	return slices.Concat(locations.Routes(d), managedclusters.Routes(d), connections.Routes(d))
}

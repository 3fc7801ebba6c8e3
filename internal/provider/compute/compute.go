// Package compute is the provider Microsoft.Compute.
package compute

import (
	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/compute/sizes"
	"cloister.dev/cloister/internal/provider/compute/virtualmachinescalesets"
	"cloister.dev/cloister/internal/store"
)

// Deps is what the provider needs.
type Deps struct {
	Store   store.Reader
	Regions []string
}

// Types lists the provider's resource types.
func Types(Deps) []*arm.Type { return virtualmachinescalesets.Types() }

// Routes lists the provider's operations that belong to no stored resource.
func Routes(d Deps) []arm.Route {
	return append(sizes.Routes(d.Regions), virtualmachinescalesets.Routes(d.Store)...)
}

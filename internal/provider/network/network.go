// Package network is the provider Microsoft.Network.
package network

import (
	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/provider/network/loadbalancers"
	"cloister.dev/cloister/internal/provider/network/networkinterfaces"
	"cloister.dev/cloister/internal/provider/network/networksecuritygroups"
	"cloister.dev/cloister/internal/provider/network/privatednszonegroups"
	"cloister.dev/cloister/internal/provider/network/privateendpoints"
	"cloister.dev/cloister/internal/provider/network/publicipaddresses"
	"cloister.dev/cloister/internal/provider/network/subnets"
	"cloister.dev/cloister/internal/provider/network/virtualnetworks"
)

// Deps is what the provider needs.
type Deps = kit.Deps

// Types lists the provider's resource types.
func Types(d Deps) []*arm.Type {
	types := []*arm.Type{
		virtualnetworks.New(d), subnets.New(d), networkinterfaces.New(d), publicipaddresses.New(d),
		loadbalancers.New(d), privateendpoints.New(d), privatednszonegroups.New(d),
	}
	return append(types, networksecuritygroups.Types(d)...)
}

// Routes lists the provider's operations that belong to no stored resource.
func Routes(d Deps) []arm.Route { return append(loadbalancers.Routes(d), virtualnetworks.Routes()...) }

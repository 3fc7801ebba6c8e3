// Package kit is what the types of Microsoft.Network share: their documents,
// references between resources, addresses and prefixes.
package kit

import (
	"context"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/store"
)

// Deps is what the types of Microsoft.Network need.
type Deps struct {
	Store  store.Store
	Config config.Config
	Writer Writer
}

// Writer writes and deletes resources in Cloister's own name: *arm.Server does.
type Writer interface {
	Write(ctx context.Context, p arm.Principal, id string, body map[string]any, managedBy string) (*arm.Resource, error)
	Delete(ctx context.Context, p arm.Principal, id string) (gone bool, err error)
}

// Read reads resources.
func (d Deps) Read() *arm.Resources { return &arm.Resources{Store: d.Store} }

// Names of the types.
const (
	Namespace     = "Microsoft.Network"
	NetworkType   = Namespace + "/virtualNetworks"
	SubnetType    = NetworkType + "/subnets"
	InterfaceType = Namespace + "/networkInterfaces"
	GroupType     = Namespace + "/networkSecurityGroups"
	RuleType      = GroupType + "/securityRules"
	PublicIPType  = Namespace + "/publicIPAddresses"
	BalancerType  = Namespace + "/loadBalancers"
	EndpointType  = Namespace + "/privateEndpoints"
	ZoneGroupType = EndpointType + "/privateDnsZoneGroups"
	ZoneType      = Namespace + "/privateDnsZones"
	ZoneLinkType  = ZoneType + "/virtualNetworkLinks"
	ClusterType   = "Microsoft.ContainerService/managedClusters"
	ScaleSetType  = "Microsoft.Compute/virtualMachineScaleSets"
	MachineType   = "Microsoft.Compute/virtualMachines"
)

// APIVersions are those that clients meet; any other is accepted, too.
var APIVersions = []string{
	"2025-01-01", "2024-07-01", "2024-05-01", "2024-03-01", "2024-01-01", "2023-11-01", "2023-09-01", "2023-05-01", "2023-04-01",
	"2022-11-01", "2022-07-01", "2022-01-01", "2021-08-01", "2020-11-01", "2018-11-01", "2015-06-15",
}

package shape

import (
	"net/netip"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/resourceid"
)

// Names of types that a cluster is made of.
const (
	ClusterType      = "Microsoft.ContainerService/managedClusters"
	PoolType         = ClusterType + "/agentPools"
	ConnectionType   = ClusterType + "/privateEndpointConnections"
	ScaleSetType     = "Microsoft.Compute/virtualMachineScaleSets"
	IdentityType     = "Microsoft.ManagedIdentity/userAssignedIdentities"
	NetworkType      = "Microsoft.Network/virtualNetworks"
	SubnetType       = "Microsoft.Network/virtualNetworks/subnets"
	EndpointType     = "Microsoft.Network/privateEndpoints"
	NICType          = "Microsoft.Network/networkInterfaces"
	GroupType        = "Microsoft.Network/networkSecurityGroups"
	PublicIPType     = "Microsoft.Network/publicIPAddresses"
	LoadBalancerType = "Microsoft.Network/loadBalancers"
	ZoneType         = "Microsoft.Network/privateDnsZones"
)

// Cluster is a managed cluster's document with the names of everything that belongs to it.
type Cluster struct {
	*arm.Resource
	Names
	Props Doc // the resource's properties, not a copy
}

// ClusterOf reads an admitted cluster.
func ClusterOf(r *arm.Resource) (Cluster, error) {
	n, err := NamesOf(r)
	if err != nil {
		return Cluster{}, err
	}
	return Cluster{Resource: r, Names: n, Props: r.Properties()}, nil
}

// Region is the location as it stands in names: eastus.
func (c Cluster) Region() string { return Region(c.Location()) }

// Region brings "East US" into the form eastus.
func Region(location string) string {
	return strings.ToLower(strings.ReplaceAll(location, " ", ""))
}

// NodeGroup is the id of the node resource group.
func (c Cluster) NodeGroup() resourceid.ID {
	id := c.ParsedID()
	return resourceid.MustParse("/subscriptions/" + id.Subscription() + "/resourceGroups/" + c.Props.Str("nodeResourceGroup"))
}

// member is the id of a resource in the node resource group.
func (c Cluster) member(typ, name string) string { return c.NodeGroup().Resource(typ, name).String() }

// ScaleSetName is the name of a pool's scale set, and the beginning of its nodes' names.
func (c Cluster) ScaleSetName(pool string) string { return "aks-" + pool + "-" + c.Digits + "-vmss" }

// ScaleSet is the id of a pool's scale set.
func (c Cluster) ScaleSet(pool string) string { return c.member(ScaleSetType, c.ScaleSetName(pool)) }

// KubeletIdentity is the id of the identity that nodes have.
func (c Cluster) KubeletIdentity() string {
	return c.member(IdentityType, c.ParsedID().Name()+"-agentpool")
}

// SecurityGroup is the id of the nodes' network security group.
func (c Cluster) SecurityGroup() string {
	return c.member(GroupType, "aks-agentpool-"+c.Digits+"-nsg")
}

// OutboundAddress is the id of the public address that nodes' connections leave by.
func (c Cluster) OutboundAddress() string { return c.member(PublicIPType, c.OutboundIP) }

// LoadBalancer is the id of the outbound load balancer.
func (c Cluster) LoadBalancer() string { return c.member(LoadBalancerType, "kubernetes") }

// Endpoint is the id of the private endpoint of the API server.
func (c Cluster) Endpoint() string { return c.member(EndpointType, "kube-apiserver") }

// EndpointInterface is the name of the private endpoint's network interface.
func (c Cluster) EndpointInterface() string { return "kube-apiserver.nic." + c.EndpointNIC }

// Network is the id of the managed network; empty if the customer brought one.
func (c Cluster) Network() string {
	if !c.ManagedNetwork {
		return ""
	}
	return resourceid.MustParse(c.Subnet).Parent().String()
}

// ManagedSubnet is the id of the subnet that a cluster makes when its pools name none.
func ManagedSubnet(nodeGroup resourceid.ID, digits string) string {
	return nodeGroup.Resource(NetworkType, "aks-vnet-"+digits).Child("subnets", "aks-subnet").String()
}

// The modes of the private zone.
const (
	ZoneSystem = "system"
	ZoneNone   = "none"
)

// ZoneMode is ZoneSystem, ZoneNone, or the id of the customer's zone.
func (c Cluster) ZoneMode() string { return c.Props.Str("apiServerAccessProfile.privateDNSZone") }

// PrivateZone is the id of the zone that holds the private name; empty with the mode none.
func (c Cluster) PrivateZone() string {
	switch mode := c.ZoneMode(); mode {
	case ZoneNone:
		return ""
	case ZoneSystem:
		return c.member(ZoneType, c.Zone+".privatelink."+c.Region()+".azmk8s.io")
	default:
		return mode
	}
}

// OwnsZone tells whether the cluster made its private zone.
func (c Cluster) OwnsZone() bool { return c.ZoneMode() == ZoneSystem }

// RecordName is the relative name of the address record in the private zone, and the name of the zone's link.
func (c Cluster) RecordName() string {
	if sub := c.Props.Str("fqdnSubdomain"); sub != "" {
		return sub
	}
	return c.Props.Str("dnsPrefix") + "-" + c.PrivateHash
}

// LinkName is the name of the link between the zone and the nodes' network. The customer's
// zone may have links of other clusters: theirs differ by the hash.
func (c Cluster) LinkName() string {
	if c.Props.Str("fqdnSubdomain") != "" {
		return c.RecordName() + "-" + c.PrivateHash
	}
	return c.RecordName()
}

// PrivateFQDN is the API server's name in the private zone; empty without one.
func (c Cluster) PrivateFQDN() string {
	zone := c.PrivateZone()
	if zone == "" {
		return ""
	}
	return strings.ToLower(c.RecordName() + "." + resourceid.MustParse(zone).Name())
}

// PublicFQDN is the API server's public name, which leads to the private address; empty when it is disabled.
func (c Cluster) PublicFQDN() string {
	if !c.Props.Bool("apiServerAccessProfile.enablePrivateClusterPublicFQDN") {
		return ""
	}
	return c.publicName()
}

func (c Cluster) publicName() string {
	prefix := c.Props.Str("dnsPrefix")
	if prefix == "" {
		prefix = c.Props.Str("fqdnSubdomain")
	}
	return strings.ToLower(prefix + "-" + c.PublicHash + ".hcp." + c.Region() + ".azmk8s.io")
}

// PublicNames are all public names that the cluster can have had.
func (c Cluster) PublicNames() []string { return []string{c.publicName()} }

// PortalFQDN is the name that the portal would use.
func (c Cluster) PortalFQDN() string {
	return c.PortalHash + "-priv.portal.hcp." + c.Region() + ".azmk8s.io"
}

// ServiceCIDR and DNSService are the cluster's addresses for Services; both were checked at admission.
func (c Cluster) ServiceCIDR() (netip.Prefix, error) {
	return netip.ParsePrefix(c.Props.Str("networkProfile.serviceCidr"))
}

// DNSService is the address of the cluster's DNS service.
func (c Cluster) DNSService() (netip.Addr, error) {
	return netip.ParseAddr(c.Props.Str("networkProfile.dnsServiceIP"))
}

// Stopped tells whether the cluster was stopped by `az aks stop`.
func (c Cluster) Stopped() bool { stopped, _ := c.Private["stopped"].(bool); return stopped }

// Generation counts the rotations of the cluster's certificates.
func (c Cluster) Generation() int64 { return int64(Doc(c.Private).Int("certificateGeneration")) }

// APIVersions are those that clients meet; any other is accepted, too.
var APIVersions = []string{
	"2026-05-01", "2026-01-01", "2025-10-01", "2025-07-01", "2025-05-01", "2025-03-01", "2025-02-01", "2024-09-01", "2024-05-01", "2024-02-01",
	"2023-10-01", "2023-05-01", "2023-01-01", "2022-11-01", "2022-04-01", "2021-10-01", "2021-05-01", "2020-11-01",
}

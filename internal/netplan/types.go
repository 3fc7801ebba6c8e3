// Package netplan turns what virtual networks should be into plans: pure data
// that says, for each network namespace, its interfaces, routes and packet
// filter. It touches nothing; internal/fabric applies plans.
package netplan

import (
	"net/netip"

	"cloister.dev/cloister/internal/spec"
)

// Network is everything about one virtual network that a plan depends on.
type Network struct {
	ID       string         // lower case
	Prefixes []netip.Prefix // address space
	Subnets  []Subnet
	NICs     []spec.NIC
	Ends     []Endpoint
	Groups   map[string]Group // security groups by id, lower case
	// Outbound is the public address of NICs that have none; zero: no way out.
	Outbound netip.Addr
	MTU      int // 0: 1500
}

// Subnet is a part of a network.
type Subnet struct {
	ID     string
	Prefix netip.Prefix
	Group  string // security group's id, or ""
}

// Endpoint is a private endpoint with its link: a pair of addresses that no
// customer uses. Connections to the endpoint come to the service from NetworkSide
// and go to ServiceSide.
type Endpoint struct {
	spec.Endpoint
	Port        uint16 // of the service; TCP
	NetworkSide netip.Addr
	ServiceSide netip.Addr
}

// Group is a network security group's own rules; Azure's default rules follow them.
type Group struct{ Rules []Rule }

// Rule is a security rule as in
// https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview.
// Prefixes are CIDRs, addresses, "*" or service tags; ports "*", a number or a range a-b.
type Rule struct {
	Name                 string
	Priority             int
	Inbound, Allow       bool
	Protocol             string // "*", Tcp, Udp, Icmp
	Sources, Targets     []string
	SourcePorts, ToPorts []string
}

// Host is what the plans of the host, the edge and the provider depend on.
type Host struct {
	Pool           netip.Prefix // public addresses
	Edge, ARM, DNS netip.Addr   // three of them
	LAN            []netip.Prefix
	Networks       []Network
	Services       []spec.Service
	MTU            int
	// Uplinks are links of the host that forward packets for Cloister only: their owner has them
	// forward none. Where all links forward, none is named here.
	Uplinks []Uplink
}

// Uplink is a link of the host.
type Uplink struct {
	Name   string
	Bridge bool
}

// Namespace is the plan of one network namespace.
type Namespace struct {
	Name    string // of its pin below <run>/netns; "" is the host's own
	Forward bool   // net.ipv4.ip_forward; never of the host
	// Forwarding names the host's links that must forward packets: net.ipv4.conf.<link>.forwarding.
	Forwarding []string
	Links      []Link         // interfaces in it
	Addresses  []netip.Prefix // on lo
	Routes     []Route
	Rules      []SourceRule
	Filter     string // the table `cloister` in nft's language; "" has none
}

// Link is one end of a veth pair in this namespace.
type Link struct {
	Name      string // at most 15 characters
	MAC       string
	MTU       int
	PeerNS    string // namespace of the other end
	PeerName  string
	PeerMAC   string
	Addresses []netip.Prefix
	Neighbors []netip.Addr // addresses that are reached at PeerMAC
}

// Route is one route. Via zero is a route to the link; Device "" makes it unreachable.
type Route struct {
	To     netip.Prefix
	Via    netip.Addr
	Device string
	Source netip.Addr
	Table  int // 0: main
}

// SourceRule has packets from an address that come in by a device use a table.
type SourceRule struct {
	From   netip.Addr
	Device string
	Table  int
}

// Plan is what one virtual network needs: its own namespace, the ends of links
// elsewhere come with the host's plan, and each sandbox's interface with its NIC.
type Plan struct {
	Number     int64
	Namespaces []Namespace
}

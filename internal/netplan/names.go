package netplan

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
)

// Names of the platform's own namespaces.
const (
	EdgeNS     = "edge"
	ProviderNS = "provider"
	HostNS     = ""
)

// HostLink is the one interface in the host's own namespace.
const HostLink = "cl-host"

// Addresses inside namespaces that no customer sees.
var (
	// PlatformDNS is the resolver in each network, as in Azure.
	PlatformDNS = netip.MustParseAddr("168.63.129.16")
	// linkSpace holds links and gateways: it is not routed anywhere and customers may not use it.
	linkSpace = netip.MustParsePrefix("240.0.0.0/4")
	// gateway is the next hop of every platform link; it exists on each side only by a permanent neighbour.
	gateway = netip.MustParseAddr("240.0.0.1")
)

// LinkPrefix is where the pairs of links are taken from.
var LinkPrefix = netip.MustParsePrefix("240.8.0.0/13")

// Private are the ranges that never leave a virtual network: RFC 1918, link-local,
// shared, loopback, multicast and reserved ones.
var Private = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// NetworkNS is the namespace of a virtual network.
func NetworkNS(id string) string { return "vnet-" + digest(id)[:12] }

// nicLink is the network's end of a NIC; the kernel allows 15 characters.
func nicLink(nic string) string { return "n" + digest("nic", nic)[:12] }

// endLink names both ends of an endpoint's link: in the network's and in the provider's namespace.
func endLink(endpoint string) string { return "l" + digest("link", endpoint)[:12] }

// serviceLink is the provider's end of a service.
func serviceLink(service string) string { return "s" + digest("service", service)[:12] }

// edgeLink is the edge's end of a network.
func edgeLink(network string) string { return "e" + digest("edge", network)[:12] }

// uplink is the network's end of its link to the edge.
const uplink = "up"

// mac is a fixed address for one end of a link: locally administered, unicast.
func mac(parts ...string) string {
	d := digest(append([]string{"mac"}, parts...)...)
	return "02:" + d[0:2] + ":" + d[2:4] + ":" + d[4:6] + ":" + d[6:8] + ":" + d[8:10]
}

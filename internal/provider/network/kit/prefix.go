package kit

import (
	"fmt"
	"net/netip"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

// SubnetReserved is how many addresses at a subnet's beginning are the platform's:
// the network's, the gateway's and two more. The last one is the broadcast address.
const SubnetReserved = 4

// reserved are ranges that no virtual network can have:
// https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq#what-address-ranges-can-i-use-in-my-virtual-networks
var reserved = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "\"this network\""},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "the platform's DNS server"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local addresses"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "Cloister's own links"},
}

// ReservedFor names what a prefix overlaps that networks cannot have; "" if nothing. pool is the
// configured pool of public addresses.
func ReservedFor(p, pool netip.Prefix) string {
	if pool.IsValid() && pool.Overlaps(p) {
		return fmt.Sprintf("%s (the public addresses of this Cloister)", pool)
	}
	for _, r := range reserved {
		if r.prefix.Overlaps(p) {
			return fmt.Sprintf("%s (%s)", r.prefix, r.what)
		}
	}
	return ""
}

// ParsePrefix reads an IPv4 prefix that a client sent, and reports what is wrong with it.
func ParsePrefix(w *arm.Write, text, target string, id string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		w.Fail("InvalidAddressPrefixFormat", target, "Address prefix '%s' of resource %s is not in CIDR notation. Write it as 10.0.0.0/16.", text, id)
	case p.Addr().Is6():
		w.Fail("FeatureNotSupported", target, "Address prefix %s of resource %s is an IPv6 one. IPv6 is not offered yet: leave it out.", text, id)
	case p != p.Masked():
		w.Fail("InvalidCIDRNotation", target, "The address prefix %s in resource %s has an invalid CIDR notation. For the given prefix length, the address prefix should be %s.", text, id, p.Masked())
	default:
		return p, true
	}
	return netip.Prefix{}, false
}

// Prefixes reads what addressPrefixes and addressPrefix of properties say, without reporting anything.
func Prefixes(props Doc) []netip.Prefix {
	all := props.Strings("addressPrefixes")
	if len(all) == 0 && props.Str("addressPrefix") != "" {
		all = []string{props.Str("addressPrefix")}
	}
	return parseAll(all)
}

// SpacePrefixes is the address space of a virtual network's properties.
func SpacePrefixes(props Doc) []netip.Prefix {
	return parseAll(props.Strings("addressSpace.addressPrefixes"))
}

func parseAll(texts []string) []netip.Prefix {
	var out []netip.Prefix
	for _, t := range texts {
		if p, err := netip.ParsePrefix(strings.TrimSpace(t)); err == nil && p.Addr().Is4() {
			out = append(out, p.Masked())
		}
	}
	return out
}

// Within tells whether one of the prefixes holds all of p.
func Within(p netip.Prefix, all []netip.Prefix) bool {
	for _, a := range all {
		if a.Bits() <= p.Bits() && a.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// List joins prefixes for a sentence.
func List[T fmt.Stringer](all []T) string {
	var out []string
	for _, a := range all {
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}

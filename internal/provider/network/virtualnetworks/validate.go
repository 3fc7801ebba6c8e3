package virtualnetworks

import (
	"fmt"
	"net/netip"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

var kinds = map[string]kit.Kind{
	"addressSpace": kit.Object, "addressSpace.addressPrefixes": kit.Strings, "dhcpOptions": kit.Object, "dhcpOptions.dnsServers": kit.Strings,
	"subnets": kit.Objects, "virtualNetworkPeerings": kit.Objects, "enableDdosProtection": kit.Boolean, "enableVmProtection": kit.Boolean,
	"ddosProtectionPlan": kit.Object, "encryption": kit.Object, "bgpCommunities": kit.Object, "flowTimeoutInMinutes": kit.Number,
}

const spaceTarget = "properties.addressSpace.addressPrefixes"

// checkSpace checks the address space: well written, no part twice, nothing reserved.
// The same space as another network's is fine: networks never see each other.
func checkSpace(w *arm.Write, props kit.Doc, pool netip.Prefix) {
	texts := props.Strings("addressSpace.addressPrefixes")
	if len(texts) == 0 {
		w.Fail("InvalidRequestFormat", spaceTarget, "The virtual network '%s' has no address space. Give it a prefix, for example 10.0.0.0/16.", w.ID.Name())
		return
	}
	var all []netip.Prefix
	for i, text := range texts {
		target := fmt.Sprintf("%s[%d]", spaceTarget, i)
		p, ok := kit.ParsePrefix(w, text, target, w.ID.String())
		if !ok {
			continue
		}
		if p.Bits() > 29 {
			w.Fail("NetcfgInvalidVirtualNetworkSite", target, "The address prefix %s of virtual network '%s' is too small. The smallest is a /29.", p, w.ID.Name())
		}
		if what := kit.ReservedFor(p, pool); what != "" {
			w.Fail("NetcfgInvalidVirtualNetworkSite", target, "The address prefix %s of virtual network '%s' overlaps the reserved range %s. Take another one, for example a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.", p, w.ID.Name(), what)
		}
		for _, other := range all {
			if other.Overlaps(p) {
				w.Fail("NetcfgInvalidVirtualNetworkSite", target, "The address prefixes %s and %s of virtual network '%s' overlap. Leave one of them out.", other, p, w.ID.Name())
			}
		}
		all = append(all, p)
	}
}

// platformDNS is the only DNS server that machines are told of.
const platformDNS = "168.63.129.16"

func unsupported(w *arm.Write, props kit.Doc) {
	if len(props.List("virtualNetworkPeerings")) > 0 {
		kit.Unsupported(w, "properties.virtualNetworkPeerings", "Peerings of virtual networks are", "Leave virtualNetworkPeerings out.")
	}
	for _, s := range props.Strings("dhcpOptions.dnsServers") {
		if s != platformDNS {
			kit.Unsupported(w, "properties.dhcpOptions.dnsServers", "DNS servers of your own are", "Leave dnsServers out: machines ask "+platformDNS+", which answers from the private DNS zones that are linked to the network.")
			break
		}
	}
	if props.Bool("enableDdosProtection") || props.ID("ddosProtectionPlan") != "" {
		kit.Unsupported(w, "properties.enableDdosProtection", "DDoS protection is", "Set enableDdosProtection to false and name no plan.")
	}
	if props.Bool("encryption.enabled") {
		kit.Unsupported(w, "properties.encryption", "Encryption of virtual networks is", "Leave encryption out.")
	}
	if c := props.Str("bgpCommunities.virtualNetworkCommunity"); c != "" {
		kit.Unsupported(w, "properties.bgpCommunities", "BGP communities are", "Leave bgpCommunities out.")
	}
	if loc, ok := w.New.Body["extendedLocation"].(map[string]any); ok && strings.TrimSpace(kit.Doc(loc).Str("name")) != "" {
		kit.Unsupported(w, "extendedLocation", "Edge zones are", "Leave extendedLocation out.")
	}
}

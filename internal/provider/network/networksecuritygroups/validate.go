package networksecuritygroups

import (
	"net/netip"
	"strconv"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

const (
	lowestPriority  = 100
	highestPriority = 4096
	maxRules        = 1000
)

var kinds = map[string]kit.Kind{
	"protocol": kit.String, "access": kit.String, "direction": kit.String, "priority": kit.Number, "description": kit.String,
	"sourcePortRange": kit.String, "destinationPortRange": kit.String, "sourceAddressPrefix": kit.String, "destinationAddressPrefix": kit.String,
	"sourcePortRanges": kit.Strings, "destinationPortRanges": kit.Strings, "sourceAddressPrefixes": kit.Strings, "destinationAddressPrefixes": kit.Strings,
	"sourceApplicationSecurityGroups": kit.Objects, "destinationApplicationSecurityGroups": kit.Objects,
}

// check reports every mistake in one rule, and brings words into Azure's case.
func check(w *arm.Write, r rule) {
	if !kit.CheckKinds(w, r.props, r.target, kinds) {
		return
	}
	delete(r.props, "provisioningState")
	if len([]rune(r.props.Str("description"))) > 140 {
		w.Fail("SecurityRuleInvalidDescription", r.target+"description", "The description of security rule %s is longer than 140 characters.", r.name)
	}
	word(w, r, "protocol", "*", "Tcp", "Udp", "Icmp")
	word(w, r, "access", "Allow", "Deny")
	word(w, r, "direction", "Inbound", "Outbound")
	if p := r.props.Int("priority"); p < lowestPriority || p > highestPriority {
		w.Fail("SecurityRuleInvalidPriority", r.target+"priority", "Security rule has invalid Priority. Value provided: %d, allowed range %d-%d. Security rule: %s.", p, lowestPriority, highestPriority, r.name)
	}
	for _, side := range []string{"source", "destination"} {
		if len(r.props.List(side+"ApplicationSecurityGroups")) > 0 {
			kit.Unsupported(w, r.target+side+"ApplicationSecurityGroups", "Application security groups are", "Name prefixes instead.")
			continue
		}
		if r.props.Str(side+"PortRange") == "" && len(r.props.List(side+"PortRanges")) == 0 && side == "source" {
			r.props["sourcePortRange"] = "*"
		}
		each(w, r, side+"PortRange", side+"PortRanges", "SecurityRuleInvalidPortRange", checkPorts)
		each(w, r, side+"AddressPrefix", side+"AddressPrefixes", "SecurityRuleInvalidAddressPrefix", checkAddress)
	}
}

// word accepts one of the words in any case, and writes it in Azure's.
func word(w *arm.Write, r rule, field string, allowed ...string) {
	v := r.props.Str(field)
	for _, a := range allowed {
		if strings.EqualFold(a, v) {
			r.props[field] = a
			return
		}
	}
	if v == "" {
		w.Fail("SecurityRuleParameterMissing", r.target+field, "Security rule %s has no %s. Set it to one of %s.", r.name, field, strings.Join(allowed, ", "))
		return
	}
	w.Fail("SecurityRuleInvalid"+strings.ToUpper(field[:1])+field[1:], r.target+field, "Security rule %s has an invalid %s, '%s'. Allowed: %s.", r.name, field, v, strings.Join(allowed, ", "))
}

// each checks a field that is written as one value or as several.
func each(w *arm.Write, r rule, one, many, code string, problem func(string, bool) string) {
	single, list := r.props.Str(one), r.props.Strings(many)
	switch {
	case single == "" && len(list) == 0:
		w.Fail("SecurityRuleParameterMissing", r.target+one, "Security rule %s needs %s or %s. \"*\" stands for all.", r.name, one, many)
		return
	case single != "" && len(list) > 0:
		w.Fail("SecurityRuleConflictingParameters", r.target+one, "Security rule %s has both %s and %s. Use one of them.", r.name, one, many)
		return
	}
	if single != "" {
		list, many = []string{single}, one
	}
	for _, v := range list {
		if what := problem(v, len(list) > 1); what != "" {
			w.Fail(code, r.target+many, "Security rule %s has an invalid value in %s: '%s' %s.", r.name, many, v, what)
			return
		}
	}
	if a, b := overlap(list); a != "" {
		w.Fail(code, r.target+many, "Security rule %s names the same twice in %s: '%s' and '%s' overlap. Leave one of them out.", r.name, many, a, b)
	}
}

// overlap finds two ranges of ports, or two prefixes, that have something in common.
func overlap(list []string) (a, b string) {
	for i, one := range list {
		for _, other := range list[:i] {
			if rangesOverlap(other, one) || prefixesOverlap(other, one) {
				return other, one
			}
		}
	}
	return "", ""
}

func rangesOverlap(a, b string) bool {
	lowA, highA, okA := portRange(a)
	lowB, highB, okB := portRange(b)
	return okA && okB && lowA <= highB && lowB <= highA
}

func portRange(v string) (low, high uint64, ok bool) {
	from, to, isRange := strings.Cut(v, "-")
	low, err := port(from)
	high = low
	if err == nil && isRange {
		high, err = port(to)
	}
	return low, high, err == nil
}

func prefixesOverlap(a, b string) bool {
	x, okX := prefixOf(a)
	y, okY := prefixOf(b)
	return okX && okY && x.Overlaps(y)
}

func prefixOf(v string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(v); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(v)
	return p, err == nil
}

// checkPorts says what is wrong with a port, a range of ports or "*"; "" if nothing.
func checkPorts(v string, several bool) string {
	if v == "*" {
		if several {
			return "stands for all and must be alone"
		}
		return ""
	}
	from, to, isRange := strings.Cut(v, "-")
	low, err := port(from)
	if err != nil {
		return "is not a port from 0 to 65535, a range like 8000-8010, or \"*\""
	}
	if !isRange {
		return ""
	}
	high, err := port(to)
	if err != nil {
		return "is not a range of ports from 0 to 65535"
	}
	if high < low {
		return "is a range whose end lies before its beginning"
	}
	return ""
}

func port(s string) (uint64, error) { return strconv.ParseUint(s, 10, 16) }

// tags are the service tags that Cloister can tell apart.
var tags = []string{"VirtualNetwork", "AzureLoadBalancer", "Internet"}

// checkAddress says what is wrong with a prefix, an address, a tag or "*"; "" if nothing.
func checkAddress(v string, several bool) string {
	if v == "*" {
		if several {
			return "stands for all and must be alone"
		}
		return ""
	}
	for _, t := range tags {
		if strings.EqualFold(t, v) {
			if several {
				return "is a service tag and must be alone"
			}
			return ""
		}
	}
	if a, err := netip.ParseAddr(v); err == nil {
		if a.Is4() {
			return ""
		}
		return "is an IPv6 address, which is not offered yet"
	}
	p, err := netip.ParsePrefix(v)
	switch {
	case err != nil:
		return "is not an address, a prefix like 10.0.0.0/24, one of the tags " + strings.Join(tags, ", ") + ", or \"*\""
	case p.Addr().Is6():
		return "is an IPv6 prefix, which is not offered yet"
	case p != p.Masked():
		return "has bits set behind its length; it should be " + p.Masked().String()
	}
	return ""
}

// conflicts reports rules of one name, or of one direction and priority.
func conflicts(w *arm.Write, all []rule) {
	byName, byPriority := map[string]rule{}, map[string]rule{}
	for _, r := range all {
		if other, ok := byName[strings.ToLower(r.name)]; ok {
			w.Fail("SecurityRuleDuplicateName", r.target+"name", "Security rules %s and %s have the same name. Names differ by more than case.", other.name, r.name)
		}
		byName[strings.ToLower(r.name)] = r
		p := r.props.Int("priority")
		key := strings.ToLower(r.props.Str("direction")) + strconv.Itoa(p)
		if other, ok := byPriority[key]; ok && p > 0 {
			w.Fail("SecurityRuleConflict", r.target+"priority", "Security rule %s conflicts with rule %s. Rules cannot have the same Priority and Direction: both have %d, %s. Take another priority.", r.name, other.name, p, r.props.Str("direction"))
		}
		byPriority[key] = r
	}
	if len(all) > maxRules {
		w.Fail("SecurityRulesCountLimitReached", "properties.securityRules", "A network security group has at most %d rules; there are %d.", maxRules, len(all))
	}
}

package netplan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// defaults are Azure's rules behind a group's own.
func defaults(inbound bool) []Rule {
	any := []string{"*"}
	rule := func(name string, priority int, allow bool, from, to string) Rule {
		return Rule{Name: name, Priority: priority, Inbound: inbound, Allow: allow, Protocol: "*", Sources: []string{from}, Targets: []string{to}, SourcePorts: any, ToPorts: any}
	}
	if inbound {
		return []Rule{rule("AllowVnetInBound", 65000, true, "VirtualNetwork", "VirtualNetwork"), rule("AllowAzureLoadBalancerInBound", 65001, true, "AzureLoadBalancer", "*"), rule("DenyAllInBound", 65500, false, "*", "*")}
	}
	return []Rule{rule("AllowVnetOutBound", 65000, true, "VirtualNetwork", "VirtualNetwork"), rule("AllowInternetOutBound", 65001, true, "*", "Internet"), rule("DenyAllOutBound", 65500, false, "*", "*")}
}

func groupChain(id string, inbound bool) string {
	if inbound {
		return "gi_" + digest("group", id)[:12]
	}
	return "go_" + digest("group", id)[:12]
}

// groupRules renders one direction of a group as the body of a chain: an
// allowed packet returns to the caller, a denied one is dropped.
func groupRules(g Group, inbound bool) []string {
	rules := slices.DeleteFunc(slices.Clone(g.Rules), func(r Rule) bool { return r.Inbound != inbound })
	slices.SortStableFunc(rules, func(a, b Rule) int { return a.Priority - b.Priority })
	var out []string
	for _, r := range append(rules, defaults(inbound)...) {
		verdict := "drop"
		if r.Allow {
			verdict = "return"
		}
		for _, from := range addresses("saddr", r.Sources) {
			for _, to := range addresses("daddr", r.Targets) {
				for _, ports := range protocols(r) {
					out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s counter %s", from, to, ports, verdict)), " ")+fmt.Sprintf(" comment \"%d %s\"", r.Priority, clean(r.Name)))
				}
			}
		}
	}
	return out
}

// addresses renders prefixes as matches of which one has to hold.
func addresses(field string, prefixes []string) []string {
	var cidrs, out []string
	for _, p := range prefixes {
		switch strings.ToLower(p) {
		case "*", "0.0.0.0/0", "any":
			return []string{""}
		case "virtualnetwork":
			out = append(out, "ip "+field+" @vnet")
		case "internet":
			out = append(out, "ip "+field+" != @vnet")
		case "azureloadbalancer":
			out = append(out, "ip "+field+" "+PlatformDNS.String())
		default:
			if prefix, err := netip.ParsePrefix(p); err == nil {
				cidrs = append(cidrs, prefix.Masked().String())
			} else if a, err := netip.ParseAddr(p); err == nil {
				cidrs = append(cidrs, a.String())
			}
		}
	}
	if len(cidrs) > 0 {
		out = append(out, "ip "+field+" { "+strings.Join(cidrs, ", ")+" }")
	}
	return out
}

// protocols renders protocol and ports as matches of which one has to hold.
func protocols(r Rule) []string {
	from, to := ports("sport", r.SourcePorts), ports("dport", r.ToPorts)
	switch strings.ToLower(r.Protocol) {
	case "tcp", "udp":
		p := strings.ToLower(r.Protocol)
		if from == "" && to == "" {
			return []string{"meta l4proto " + p}
		}
		return []string{join(p, from, to)}
	case "icmp":
		return []string{"meta l4proto icmp"}
	default:
		if from == "" && to == "" {
			return []string{""}
		}
		return []string{join("tcp", from, to), join("udp", from, to)}
	}
}

func join(protocol, from, to string) string {
	var out []string
	for _, m := range []string{from, to} {
		if m != "" {
			out = append(out, protocol+" "+m)
		}
	}
	return strings.Join(out, " ")
}

func ports(field string, list []string) string {
	if len(list) == 0 || slices.Contains(list, "*") {
		return ""
	}
	return field + " { " + strings.Join(list, ", ") + " }"
}

// clean leaves what cannot end a comment.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 128 && (r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '_'
	}, s)
}

package networksecuritygroups

import (
	"maps"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/resourceid"
)

func valid() kit.Doc {
	return kit.Doc{
		"protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": float64(100),
		"sourcePortRange": "*", "destinationPortRange": "443", "sourceAddressPrefix": "*", "destinationAddressPrefix": "VirtualNetwork",
	}
}

func write() *arm.Write {
	return &arm.Write{ID: resourceid.MustParse("/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/n")}
}

func TestCheck(t *testing.T) {
	list := func(v ...any) []any { return v }
	for name, c := range map[string]struct {
		change map[string]any
		code   string // "": accepted
	}{
		"valid":               {nil, ""},
		"no source port":      {map[string]any{"sourcePortRange": nil}, ""},
		"lists":               {map[string]any{"destinationPortRange": nil, "destinationPortRanges": list("80", "443", "1000-2000"), "sourceAddressPrefix": nil, "sourceAddressPrefixes": list("10.0.0.0/8", "192.168.0.1")}, ""},
		"protocol number":     {map[string]any{"protocol": float64(6)}, "InvalidRequestFormat"},
		"protocol":            {map[string]any{"protocol": "Sctp"}, "SecurityRuleInvalidProtocol"},
		"no access":           {map[string]any{"access": nil}, "SecurityRuleParameterMissing"},
		"access":              {map[string]any{"access": "Maybe"}, "SecurityRuleInvalidAccess"},
		"direction":           {map[string]any{"direction": "Sideways"}, "SecurityRuleInvalidDirection"},
		"no priority":         {map[string]any{"priority": nil}, "SecurityRuleInvalidPriority"},
		"priority low":        {map[string]any{"priority": float64(99)}, "SecurityRuleInvalidPriority"},
		"priority high":       {map[string]any{"priority": float64(4097)}, "SecurityRuleInvalidPriority"},
		"priority text":       {map[string]any{"priority": "100"}, "InvalidRequestFormat"},
		"no port":             {map[string]any{"destinationPortRange": nil}, "SecurityRuleParameterMissing"},
		"port and ports":      {map[string]any{"destinationPortRanges": list("80")}, "SecurityRuleConflictingParameters"},
		"port range":          {map[string]any{"destinationPortRange": "0-65535"}, ""},
		"port too high":       {map[string]any{"destinationPortRange": "65536"}, "SecurityRuleInvalidPortRange"},
		"port backwards":      {map[string]any{"destinationPortRange": "443-80"}, "SecurityRuleInvalidPortRange"},
		"port word":           {map[string]any{"destinationPortRange": "https"}, "SecurityRuleInvalidPortRange"},
		"port half":           {map[string]any{"destinationPortRange": "80-"}, "SecurityRuleInvalidPortRange"},
		"ports overlap":       {map[string]any{"destinationPortRange": nil, "destinationPortRanges": list("80-90", "85")}, "SecurityRuleInvalidPortRange"},
		"all and one":         {map[string]any{"destinationPortRange": nil, "destinationPortRanges": list("*", "85")}, "SecurityRuleInvalidPortRange"},
		"address":             {map[string]any{"sourceAddressPrefix": "10.0.0.1"}, ""},
		"address host bits":   {map[string]any{"sourceAddressPrefix": "10.0.0.1/8"}, "SecurityRuleInvalidAddressPrefix"},
		"address ipv6":        {map[string]any{"sourceAddressPrefix": "fd00::/8"}, "SecurityRuleInvalidAddressPrefix"},
		"address unknown tag": {map[string]any{"sourceAddressPrefix": "Storage"}, "SecurityRuleInvalidAddressPrefix"},
		"addresses overlap":   {map[string]any{"sourceAddressPrefix": nil, "sourceAddressPrefixes": list("10.0.0.0/8", "10.1.0.0/16")}, "SecurityRuleInvalidAddressPrefix"},
		"tag among addresses": {map[string]any{"sourceAddressPrefix": nil, "sourceAddressPrefixes": list("10.0.0.0/8", "Internet")}, "SecurityRuleInvalidAddressPrefix"},
		"injection":           {map[string]any{"sourceAddressPrefix": "10.0.0.0/8; accept"}, "SecurityRuleInvalidAddressPrefix"},
		"long description":    {map[string]any{"description": strings.Repeat("x", 141)}, "SecurityRuleInvalidDescription"},
		"application group":   {map[string]any{"sourceApplicationSecurityGroups": list(map[string]any{"id": "x"})}, "FeatureNotSupported"},
	} {
		t.Run(name, func(t *testing.T) {
			props := valid()
			maps.Copy(props, c.change)
			w := write()
			check(w, rule{"properties.", "r", props})
			got := ""
			if len(w.Problems) > 0 {
				got = w.Problems[0].Code
			}
			if got != c.code || len(w.Problems) > 1 {
				t.Errorf("%q, want %q: %v", got, c.code, w.Problems)
			}
		})
	}
}

func TestCheckWritesAzuresWords(t *testing.T) {
	props := valid()
	maps.Copy(props, map[string]any{"protocol": "TCP", "access": "allow", "direction": "INBOUND"})
	check(write(), rule{"", "r", props})
	if props["protocol"] != "Tcp" || props["access"] != "Allow" || props["direction"] != "Inbound" {
		t.Errorf("%v", props)
	}
}

// FuzzAddress holds that what is accepted is what the packet filter can be told.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"*", "10.0.0.0/8", "Internet", "1.2.3.4", "::1", "10.0.0.0/33", "}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkAddress(s, false) != "" || s == "*" {
			return
		}
		if _, ok := prefixOf(s); ok {
			return
		}
		for _, tag := range tags {
			if strings.EqualFold(tag, s) {
				return
			}
		}
		t.Errorf("%q was accepted", s)
	})
}

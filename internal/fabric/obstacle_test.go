package fabric

import (
	"strings"
	"testing"
)

// TestObstacles reads rule sets as nft prints them. Real ones are loaded in test/net.
func TestObstacles(t *testing.T) {
	chain := func(family, table, name, policy string) string {
		return `{"chain":{"family":"` + family + `","table":"` + table + `","name":"` + name + `","handle":1,"type":"filter","hook":"forward","prio":0,"policy":"` + policy + `"}}`
	}
	rule := func(expr string) string {
		return `{"rule":{"family":"inet","table":"f","chain":"c","handle":2,"expr":[` + expr + `]}}`
	}
	name := func(key, op, value string) string {
		return `{"match":{"op":"` + op + `","left":{"meta":{"key":"` + key + `"}},"right":"` + value + `"}}`
	}
	state := `{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}}`
	accept := `{"accept":null}`
	drops := chain("inet", "f", "c", "drop")
	in, out := rule(name("iifname", "==", "cl-host")+","+accept), rule(name("oifname", "==", "cl-host")+","+state+","+accept)
	for _, c := range []struct {
		what  string
		parts []string
		want  int
	}{
		{"nothing", nil, 0},
		{"accepts by policy", []string{chain("inet", "f", "c", "accept")}, 0},
		{"drops", []string{drops}, 1},
		{"our own", []string{chain("ip", "cloister", "forward", "drop")}, 0},
		{"of IPv6 only", []string{chain("ip6", "filter", "FORWARD", "drop")}, 0},
		{"only the way there is open", []string{drops, in}, 1},
		{"only the way back is open", []string{drops, out}, 1},
		{"both are open", []string{drops, in, out}, 0},
		{"all answers are let through", []string{drops, in, rule(state + "," + accept)}, 0},
		{"all answers, by iptables", []string{drops, in, rule(`{"xt":{"type":"match","name":"conntrack"}},` + accept)}, 0},
		{"another link", []string{drops, rule(name("iifname", "==", "cl-host2") + "," + accept), out}, 1},
		{"every link but ours", []string{drops, rule(name("iifname", "!=", "cl-host") + "," + accept), out}, 1},
		{"dropped", []string{drops, rule(name("iifname", "==", "cl-host") + `,{"drop":null}`), out}, 1},
		{"only answers from ours", []string{drops, rule(name("iifname", "==", "cl-host") + "," + state + "," + accept), out}, 1},
		{"a set of links", []string{drops, rule(`{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":{"set":["lan0","lan1"]}}},` + accept), out}, 1},
		{"a set of links with ours", []string{drops, rule(`{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":{"set":["lan0","cl-host"]}}},` + accept), out}, 0},
	} {
		found, err := obstacles([]byte(`{"nftables":[{"metainfo":{"version":"1.0.6"}}` + strings.Join(append([]string{""}, c.parts...), ",") + `]}`))
		if err != nil || len(found) != c.want {
			t.Errorf("%s: %v %v, want %d", c.what, found, err, c.want)
		}
	}
}

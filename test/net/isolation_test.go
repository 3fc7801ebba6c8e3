package net

import (
	"testing"

	"cloister.dev/cloister/internal/netplan"
	"cloister.dev/cloister/internal/spec"
)

// TestIsolation is the table of who reaches whom. Two networks have the same
// addresses, and an endpoint at the same address that leads to another service.
func TestIsolation(t *testing.T) {
	w := newWorld(t)
	a := network("neta", "198.51.100.10", "10.240.0.5", "10.240.0.6")
	b := network("netb", "198.51.100.11", "10.240.0.5")
	c := network("netc", "198.51.100.12", "10.240.0.7")
	a.NICs[1].Secondary = append(a.NICs[1].Secondary, addr("10.240.0.20"))
	endpoint(&a, "10.240.0.4", "one", "240.8.0.0", "240.8.0.1")
	endpoint(&b, "10.240.0.4", "two", "240.8.0.2", "240.8.0.3")
	// A second endpoint of the first service, in the same network.
	endpoint(&a, "10.240.0.9", "one", "240.8.0.4", "240.8.0.5")
	a.Ends[1].Return = false
	w.plan.Services = []spec.Service{{Name: "one", Sandbox: "cp-one", Port: 443}, {Name: "two", Sandbox: "cp-two", Port: 443}}
	w.apply(a, b, c)

	a5, a6, b5, c7 := sandbox("neta", "10.240.0.5"), sandbox("neta", "10.240.0.6"), sandbox("netb", "10.240.0.5"), sandbox("netc", "10.240.0.7")
	w.serve("cp-one", "0.0.0.0:443", "one")
	w.serve("cp-two", "0.0.0.0:443", "two")
	w.serve("cp-two", "0.0.0.0:8443", "hidden")
	for ns, word := range map[string]string{a5: "a5", a6: "a6", b5: "b5", c7: "c7"} {
		w.serve(ns, "0.0.0.0:10250", word)
	}
	w.serve(netplan.EdgeNS, "198.51.100.2:443", "arm")
	w.serve(netplan.EdgeNS, "198.51.100.2:9000", "closed")
	w.serve(netplan.HostNS, "0.0.0.0:22", "host")

	for _, c := range []struct{ name, from, to, want string }{
		{"a client reaches the endpoint, seen from the link", a5, "10.240.0.4:443", "one 240.8.0.0"},
		{"the same address in another network is another service", b5, "10.240.0.4:443", "two 240.8.0.2"},
		{"a second endpoint of the same service", a6, "10.240.0.9:443", "one 240.8.0.4"},
		{"a network without an endpoint reaches none", c7, "10.240.0.4:443", ""},
		{"only the service's port passes", b5, "10.240.0.4:8443", ""},
		{"a machine reaches another one under its own address", a5, "10.240.0.6:10250", "a6 10.240.0.5"},
		{"a secondary address is behind the primary one", c7, "10.240.0.20:10250", ""},
		{"networks with equal addresses do not meet", b5, "10.240.0.6:10250", ""},
		{"a guest does not reach a link's address", a5, "240.8.0.1:443", ""},
		{"a guest does not reach another network's link", c7, "240.8.0.1:443", ""},
		{"the way back: the service reaches a node as the endpoint", "cp-one", "10.240.0.5:10250", "a5 10.240.0.4"},
		{"the way back leads into its own network", "cp-two", "10.240.0.5:10250", "b5 10.240.0.4"},
		{"a service does not reach another network", "cp-two", "10.240.0.6:10250", ""},
		{"a service does not reach another service", "cp-one", "240.8.0.3:443", ""},
		{"a service does not reach the ARM endpoint", "cp-one", "198.51.100.2:443", ""},
		{"a service does not reach the world", "cp-one", "203.0.113.9:80", ""},
		{"a service does not reach the host", "cp-one", "203.0.113.1:22", ""},
		{"a guest reaches the world under its network's public address", a5, "203.0.113.9:80", "outside 203.0.113.1"},
		{"a guest does not reach the host", a5, "203.0.113.1:22", ""},
		{"a guest reaches the ARM endpoint", c7, "198.51.100.2:443", "arm 198.51.100.12"},
		{"a guest reaches nothing else of the edge", c7, "198.51.100.2:9000", ""},
		{"a private address never leaves: another range", a5, "192.168.7.7:80", ""},
		{"a private address never leaves: the network's own", a5, "10.240.0.99:80", ""},
		{"the host does not reach the endpoint", netplan.HostNS, "10.240.0.4:443", ""},
		{"the host reaches the ARM endpoint", netplan.HostNS, "198.51.100.2:443", "arm 198.51.100.254"},
		{"the host does not reach a machine", netplan.HostNS, "10.240.0.5:10250", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := w.ask(c.from, c.to)
			if got != c.want {
				t.Errorf("%s -> %s: %q (%v), want %q", c.from, c.to, got, err, c.want)
			}
		})
	}
}

// TestSecurityGroups wants rules to mean the customer's addresses, before any translation.
func TestSecurityGroups(t *testing.T) {
	w := newWorld(t)
	n := network("neta", "198.51.100.10", "10.240.0.5", "10.240.0.6")
	endpoint(&n, "10.240.0.4", "one", "240.8.0.0", "240.8.0.1")
	w.plan.Services = []spec.Service{{Name: "one", Sandbox: "cp-one", Port: 443}}
	star := []string{"*"}
	rule := func(priority int, inbound, allow bool, to, port string) netplan.Rule {
		return netplan.Rule{Name: "r", Priority: priority, Inbound: inbound, Allow: allow, Protocol: "Tcp", Sources: star, Targets: []string{to}, SourcePorts: star, ToPorts: []string{port}}
	}
	w.apply(n)
	a5, a6 := sandbox("neta", "10.240.0.5"), sandbox("neta", "10.240.0.6")
	w.serve("cp-one", "0.0.0.0:443", "one")
	w.serve(a6, "0.0.0.0:10250", "a6")
	for _, c := range []struct {
		name                 string
		rules                []netplan.Rule
		api, peer, out, back bool
	}{
		{"Azure's defaults", nil, true, true, true, true},
		{"deny Internet does not cut the API", []netplan.Rule{rule(100, false, false, "Internet", "*")}, true, true, false, true},
		{"deny 443 cuts the endpoint", []netplan.Rule{rule(100, false, false, "*", "443")}, false, true, true, true},
		{"the lower priority number wins", []netplan.Rule{rule(200, false, false, "*", "443"), rule(100, false, true, "10.240.0.4", "443")}, true, true, true, true},
		{"inbound deny cuts neighbours and not the way back", []netplan.Rule{rule(100, true, false, "*", "10250")}, true, false, true, true},
		{"allow what the network is, deny the rest", []netplan.Rule{rule(100, false, true, "VirtualNetwork", "*"), rule(200, false, false, "*", "*")}, true, true, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.Groups = map[string]netplan.Group{"g": {Rules: c.rules}}
			n.Subnets[0].Group = "g"
			w.apply(n)
			for _, try := range []struct {
				from, to string
				want     bool
			}{{a5, "10.240.0.4:443", c.api}, {a5, "10.240.0.6:10250", c.peer}, {a5, "203.0.113.9:80", c.out}, {"cp-one", "10.240.0.6:10250", c.back}} {
				got, err := w.ask(try.from, try.to)
				if (got != "") != try.want {
					t.Errorf("%s -> %s: %q (%v), want answer %v", try.from, try.to, got, err, try.want)
				}
			}
		})
	}
}

package dns

import (
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// closedTrees are trees of which no query leaves: what is not answered here does not
// exist. They are names for use inside a site (RFC 6761, RFC 6762, RFC 8375, and what Azure
// keeps for itself) and reverse zones of ranges that are not public (RFC 6303).
func closedTrees() []string {
	out := []string{
		"local.", "localhost.", "internal.", "invalid.", "test.", "home.arpa.", "internal.cloudapp.net.",
		"0.in-addr.arpa.", "10.in-addr.arpa.", "127.in-addr.arpa.", "168.192.in-addr.arpa.", "254.169.in-addr.arpa.", "16.129.63.168.in-addr.arpa.",
		"d.f.ip6.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.",
	}
	for i := 16; i < 32; i++ {
		out = append(out, strconv.Itoa(i)+".172.in-addr.arpa.")
	}
	for i := 64; i < 128; i++ {
		out = append(out, strconv.Itoa(i)+".100.in-addr.arpa.")
	}
	for i := 224; i < 256; i++ {
		out = append(out, strconv.Itoa(i)+".in-addr.arpa.")
	}
	return out
}

// isSingleLabel tells of names like `wpad`, which only somebody's search list makes a name of the Internet.
func isSingleLabel(name string) bool { return name != "." && strings.Count(name, ".") <= 1 }

// aboutTrees are types by which resolvers find out about a top-level domain; such queries tell nothing of a site.
func aboutTrees(qtype uint16) bool {
	return qtype == dns.TypeNS || qtype == dns.TypeSOA || qtype == dns.TypeDS || qtype == dns.TypeDNSKEY
}

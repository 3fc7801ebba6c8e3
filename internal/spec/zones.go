package spec

import "net/netip"

// PublicNamePrefix is where public names are: PublicName documents by name in lower case.
const PublicNamePrefix = "/spec/publicname/"

// PublicName is a name of the public zone and the address that it answers with.
type PublicName struct {
	Name    string     `json:"name"`
	Address netip.Addr `json:"address"`
}

// Zones is all that resolvers answer from: the file that the daemon writes and
// the resolver reads.
type Zones struct {
	Number   int64                  `json:"number"`
	Networks []ZoneNetwork          `json:"networks"`
	Private  map[string]PrivateZone `json:"private"` // by resource id of the zone, lower case
	Public   []PublicName           `json:"public"`
	// PublicZones are the names below which only Public exists, for everybody: azmk8s.io.
	PublicZones []string   `json:"publicZones"`
	Upstreams   []string   `json:"upstreams"` // address:port; empty: those of the host
	EdgeNetNS   string     `json:"edgeNetns"` // where the public server listens
	PublicDNS   netip.Addr `json:"publicDns"`
}

// ZoneNetwork is one virtual network: its resolver and the zones linked to it.
type ZoneNetwork struct {
	ID    string   `json:"id"`
	NetNS string   `json:"netns"` // path of the pinned namespace
	Zones []string `json:"zones"` // keys of Zones.Private
}

// PrivateZone is a private DNS zone with its records.
type PrivateZone struct {
	Name    string   `json:"name"` // without a dot at its end
	Records []Record `json:"records"`
}

// Record is one record set of a zone.
type Record struct {
	Name    string       `json:"name"` // relative; "@" is the zone itself, "*" a wildcard
	Type    string       `json:"type"` // A or CNAME
	TTL     uint32       `json:"ttl"`  // seconds
	Address []netip.Addr `json:"address,omitempty"`
	Target  string       `json:"target,omitempty"` // of a CNAME, fully qualified
}

// The SOA record of every private zone. Minimum is how long a "no" may be kept, in
// seconds: short, so that a record that is made is seen soon.
const (
	SOAHost    = "azureprivatedns.net"
	SOAMail    = "azureprivatedns-host.microsoft.com"
	SOASerial  = 1
	SOARefresh = 3600
	SOARetry   = 300
	SOAExpire  = 2419200
	SOAMinimum = 1
)

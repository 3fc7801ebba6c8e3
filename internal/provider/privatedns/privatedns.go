// Package privatedns is Microsoft.Network/privateDnsZones: private DNS zones, their
// record sets, and the links that let virtual networks resolve them.
// https://learn.microsoft.com/rest/api/dns/privatedns/private-zones
package privatedns

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/store"
)

// Deps is what the types need.
type Deps struct {
	Store store.Reader
}

// Names of the record types that zones here hold.
const (
	addressType = kit.ZoneType + "/A"
	aliasType   = kit.ZoneType + "/CNAME"
	soaType     = kit.ZoneType + "/SOA"
)

// Limits of private DNS: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-dns-limits
const (
	maxRecordSets    = 25_000
	maxLinks         = 1_000
	maxRegistering   = 100
	maxRecordsInASet = 20
	maxNameLength    = 253
	maxLabels        = 34
)

var apiVersions = []string{"2024-06-01", "2020-06-01", "2020-01-01", "2018-09-01"}

// label is one part of a name: underscores are common in records of services.
const label = `[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?`

var (
	zoneNames   = regexp.MustCompile(`^(` + label + `\.)+` + label + `$`) // zones.admit counts the labels: {1,33} of labels is more than regexp repeats
	recordNames = regexp.MustCompile(`^(@|(\*|` + label + `)(\.` + label + `)*)$`)
	linkNames   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$`)
	hostNames   = regexp.MustCompile(`^(` + label + `\.)*` + label + `\.?$`)
)

// Types are the zone, its record sets and its links.
func Types(d Deps) []*arm.Type {
	z := zones{&arm.Resources{Store: d.Store}}
	const recordRule = "'@' for the zone itself, or labels of 1 to 63 letters, digits, '-' and '_' with dots between them, of which the first may be '*'"
	return []*arm.Type{
		{
			Name: kit.ZoneType, APIVersions: apiVersions, Tracked: true, Global: true,
			Names: zoneNames, NameRule: "2 to 34 labels of 1 to 63 letters, digits, '-' and '_' with dots between them, without a dot at the end",
			Admit: z.admit, Release: z.release, View: z.view,
			DeleteAfter: []string{kit.ClusterType, kit.EndpointType}, // they take their records away themselves
		},
		{Name: addressType, APIVersions: apiVersions, Names: recordNames, NameRule: recordRule, Admit: admitRecords, View: viewRecords, ViewAlone: true},
		{Name: aliasType, APIVersions: apiVersions, Names: recordNames, NameRule: recordRule, Admit: admitRecords, View: viewRecords, ViewAlone: true},
		{
			Name: kit.ZoneLinkType, APIVersions: apiVersions, Tracked: true, Global: true,
			Names: linkNames, NameRule: "1 to 80 letters, digits, '_', '.' and '-', beginning with a letter or digit and ending with one or '_'",
			Admit: admitLink, Release: releaseLink, View: viewLink, ViewAlone: true,
		},
	}
}

// isRecords tells whether the resource is a record set of a zone.
func isRecords(r *arm.Resource) bool { return r.Type == addressType || r.Type == aliasType }

// rename gives members that are written in another case the name given: Azure does not look at case,
// and the clients of public zones write ARecords. What is stored has the name given: where a PATCH has
// put another spelling beside it, the other one is what the client sent.
func rename(props kit.Doc, names ...string) {
	for _, want := range names {
		for _, have := range slices.Sorted(maps.Keys(props)) {
			if have != want && strings.EqualFold(have, want) {
				props[want] = props[have]
				delete(props, have)
			}
		}
	}
}

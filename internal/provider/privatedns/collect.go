package privatedns

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// Collect reads all zones with their records, by the zone's id in lower case, and which
// zones each virtual network is linked to: ids of zones by the network's id, both in lower
// case. What is being deleted is left out. It reads one state of the store.
func Collect(ctx context.Context, r store.Reader) (zones map[string]spec.PrivateZone, links map[string][]string, err error) {
	docs, _, err := r.List(ctx, "/res/")
	if err != nil {
		return nil, nil, err
	}
	zones, links = map[string]spec.PrivateZone{}, map[string][]string{}
	below := "/providers/" + strings.ToLower(kit.ZoneType) + "/"
	var rest []*arm.Resource
	for _, d := range docs {
		if !strings.Contains(d.Key, below) {
			continue
		}
		res := &arm.Resource{Rev: d.Rev}
		if err := json.Unmarshal(d.Value, res); err != nil {
			return nil, nil, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		switch {
		case res.Deleting:
		case res.Type == kit.ZoneType:
			zones[res.ParsedID().Key()] = spec.PrivateZone{Name: strings.ToLower(res.Name), Records: []spec.Record{}}
		default:
			rest = append(rest, res)
		}
	}
	for _, res := range rest {
		parent := res.ParsedID().Parent().Key()
		zone, ok := zones[parent]
		if !ok {
			continue
		}
		switch {
		case isRecords(res):
			if rec := recordOf(res); rec.Target != "" || len(rec.Address) > 0 {
				zone.Records = append(zone.Records, rec)
				zones[parent] = zone
			}
		case res.Type == kit.ZoneLinkType:
			network := "/" + strings.Trim(strings.ToLower(networkOf(res)), "/")
			if !slices.Contains(links[network], parent) {
				links[network] = append(links[network], parent)
			}
		}
	}
	return zones, links, nil
}

func recordOf(r *arm.Resource) spec.Record {
	props := kit.Props(r)
	rec := spec.Record{Name: strings.ToLower(r.Name), TTL: uint32(max(props.Int("ttl"), 0))}
	if r.Type == aliasType {
		rec.Type, rec.Target = "CNAME", strings.ToLower(strings.TrimSuffix(props.Str("cnameRecord.cname"), "."))
		return rec
	}
	rec.Type = "A"
	for _, a := range props.Docs("aRecords") {
		if addr, err := netip.ParseAddr(a.Str("ipv4Address")); err == nil && addr.Is4() {
			rec.Address = append(rec.Address, addr)
		}
	}
	return rec
}

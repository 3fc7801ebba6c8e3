// Package privatednszonegroups is Microsoft.Network/privateEndpoints/privateDnsZoneGroups: it
// keeps the records of a private endpoint in private DNS zones.
// https://learn.microsoft.com/rest/api/virtualnetwork/private-dns-zone-groups
package privatednszonegroups

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/provider/network/privateendpoints"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// recordTTL is in seconds.
const recordTTL = 10

// New is the type.
func New(d kit.Deps) *arm.Type {
	t := typ{d}
	return &arm.Type{Name: kit.ZoneGroupType, APIVersions: kit.APIVersions, Async: true, Admit: t.admit, Reconcile: t.reconcile, Remove: t.remove, View: t.view}
}

type typ struct{ kit.Deps }

// maxZones is how many zones a group can name.
const maxZones = 5

func (t typ) admit(ctx context.Context, w *arm.Write) error {
	props := kit.Props(w.New)
	if !kit.CheckKinds(w, props, "properties.", map[string]kit.Kind{"privateDnsZoneConfigs": kit.Objects}) {
		return nil
	}
	others, err := w.Read.Below(ctx, w.ID.Parent().String(), kit.ZoneGroupType)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.ParsedID().Key() != w.ID.Key() {
			w.Fail("PrivateEndpointHasDnsZoneGroup", "name", "Private endpoint %s has a DNS zone group already, '%s'. An endpoint has one: change that, or delete it first.", w.ID.Parent().Name(), o.Name)
		}
	}
	configs := props.Docs("privateDnsZoneConfigs")
	if len(configs) == 0 || len(configs) > maxZones {
		w.Fail("PrivateDnsZoneGroupInvalid", "properties.privateDnsZoneConfigs", "The DNS zone group names %d zones. It needs 1 to %d.", len(configs), maxZones)
		return nil
	}
	links := kit.NewLinks(w.Read, w.Tx)
	seen := map[string]bool{}
	for i, c := range configs {
		target := fmt.Sprintf("properties.privateDnsZoneConfigs[%d].", i)
		if !kit.CheckKinds(w, c, target, map[string]kit.Kind{"name": kit.String, "properties": kit.Object, "properties.privateDnsZoneId": kit.String}) {
			continue
		}
		if seen[strings.ToLower(c.Str("name"))] || c.Str("name") == "" {
			w.Fail("InvalidResourceName", target+"name", "The name '%s' of a zone configuration is empty or stands twice.", c.Str("name"))
		}
		seen[strings.ToLower(c.Str("name"))] = true
		delete(c.Sub("properties"), "recordSets")
		if _, err := links.Use(ctx, w, kit.Ref{Target: target + "properties.privateDnsZoneId", ID: c.Str("properties.privateDnsZoneId"), Type: kit.ZoneType, Action: "Microsoft.Network/privateDnsZones/join/action"}); err != nil {
			return err
		}
	}
	if len(w.Problems) == 0 {
		links.Save()
	}
	return nil
}

// recordsKey is where a group remembers the ids of the records that it made.
const recordsKey = "records"

// reconcile writes a record into every zone, and takes those away that are not wanted any more.
func (t typ) reconcile(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	if r.Operation == "" {
		return arm.Progress{Done: true, Percent: 100}, nil // what is changed by hand later stays so
	}
	wanted, address, err := t.records(ctx, r)
	if err != nil {
		return arm.Progress{}, err
	}
	if len(wanted) == 0 {
		return arm.Progress{Percent: 10, Note: "the name of what the endpoint leads to"}, nil
	}
	before := kit.Doc(r.Private).Strings(recordsKey)
	var all []any
	for _, id := range before {
		all = append(all, id)
	}
	for _, rec := range wanted {
		all = append(all, rec.id)
	}
	if r.Private == nil {
		r.Private = map[string]any{}
	}
	if !kit.Same(r.Private[recordsKey], all) && len(before) == 0 {
		r.Private[recordsKey] = all // remembered before they are made
		return arm.Progress{Percent: 20, Note: "writes the records", After: 1}, nil
	}
	for _, rec := range wanted {
		body := map[string]any{"properties": map[string]any{"ttl": recordTTL, "aRecords": []any{map[string]any{"ipv4Address": address}}}}
		if _, err := t.Writer.Write(ctx, arm.System, rec.id, body, ""); err != nil {
			return arm.Progress{}, recordError(rec.id, err)
		}
	}
	var kept []any
	for _, id := range before {
		if containsRecord(wanted, id) {
			continue
		}
		if _, err := t.Writer.Delete(ctx, arm.System, id); err != nil {
			return arm.Progress{}, err
		}
	}
	for _, rec := range wanted {
		kept = append(kept, rec.id)
	}
	r.Private[recordsKey] = kept
	return arm.Progress{Done: true, Percent: 100}, nil
}

func recordError(id string, err error) error {
	var e *arm.Error
	if errors.As(err, &e) && e.Status >= 400 && e.Status < 500 && e.Status != 409 && e.Status != 412 {
		return arm.Terminal(arm.Errorf(e.Status, e.Code, "The record '%s' could not be made: %s", id, e.Message))
	}
	return fmt.Errorf("record %s: %w", id, err)
}

type record struct{ zone, name, fqdn, id string }

func containsRecord(all []record, id string) bool {
	for _, r := range all {
		if kit.SameID(r.id, id) {
			return true
		}
	}
	return false
}

// records are those that the group wants: none while the name of the target is not known.
func (t typ) records(ctx context.Context, r *arm.Resource) ([]record, string, error) {
	parent := r.ParsedID().Parent()
	endpoint, err := t.Read().Get(ctx, parent.String())
	if err != nil {
		return nil, "", err
	}
	var e spec.Endpoint
	if _, err := t.Store.Get(ctx, spec.EndpointKey(parent.Key()), &e); errors.Is(err, store.ErrNotFound) {
		return nil, "", nil
	} else if err != nil {
		return nil, "", err
	}
	names, err := privateendpoints.Names(ctx, t.Store, endpoint, e.Service)
	if err != nil || len(names) == 0 {
		return nil, "", err
	}
	var out []record
	for _, c := range kit.Props(r).Docs("privateDnsZoneConfigs") {
		zone := resourceid.MustParse(c.Str("properties.privateDnsZoneId"))
		for _, n := range names {
			name := relative(n, zone.Name())
			out = append(out, record{zone.String(), name, name + "." + zone.Name(), zone.Child("A", name).String()})
		}
	}
	return out, e.Address.String(), nil
}

// relative is a host's name within a zone: what stands before the zone's name, or its first
// label where it is of another zone.
func relative(host, zone string) string {
	if name, ok := strings.CutSuffix(strings.ToLower(host), "."+strings.ToLower(zone)); ok {
		return name
	}
	name, _, _ := strings.Cut(strings.ToLower(host), ".")
	return name
}

func (t typ) remove(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	left := 0
	for _, id := range kit.Doc(r.Private).Strings(recordsKey) {
		gone, err := t.Writer.Delete(ctx, arm.System, id)
		if err != nil {
			return arm.Progress{}, err
		}
		if !gone {
			left++
		}
	}
	if left > 0 {
		return arm.Progress{Percent: 50, Note: "the records' end", After: 1e9}, nil
	}
	return arm.Progress{Done: true, Percent: 100}, nil
}

// view shows the records in each zone.
func (t typ) view(ctx context.Context, r *arm.Resource, doc map[string]any) error {
	all, address, err := t.records(ctx, r)
	if err != nil && !arm.IsNotFound(err) {
		return err
	}
	for _, c := range kit.Doc(doc).Doc("properties").Docs("privateDnsZoneConfigs") {
		sets := []any{}
		for _, rec := range all {
			if kit.SameID(rec.zone, c.Str("properties.privateDnsZoneId")) {
				sets = append(sets, map[string]any{"recordType": "A", "recordSetName": rec.name, "fqdn": rec.fqdn, "ttl": recordTTL, "provisioningState": r.State, "ipAddresses": []any{address}})
			}
		}
		c.Sub("properties")["recordSets"] = sets
	}
	return nil
}

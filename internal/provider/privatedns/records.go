package privatedns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/store"
)

// What a record set is given that names no time to live, and the most that one may have, in seconds.
const (
	defaultTTL = 3600
	maxTTL     = 1<<31 - 1
)

func admitRecords(ctx context.Context, w *arm.Write) error {
	props := kit.Props(w.New)
	rename(props, "ttl", "metadata", "aRecords", "cnameRecord", "fqdn", "isAutoRegistered")
	delete(props, "fqdn")
	delete(props, "isAutoRegistered")
	if !kit.CheckKinds(w, props, "properties.", map[string]kit.Kind{
		"ttl": kit.Number, "metadata": kit.Object, "aRecords": kit.Objects, "cnameRecord": kit.Object, "cnameRecord.cname": kit.String,
	}) {
		return nil
	}
	if props["ttl"] == nil {
		props["ttl"] = defaultTTL
	}
	if ttl := props.Int("ttl"); ttl < 1 || ttl > maxTTL {
		w.Fail("BadRequest", "properties.ttl", "The TTL of a record set must be between 1 and %d seconds; %d was sent.", maxTTL, ttl)
	}
	checkMetadata(w, props)
	if w.New.Type == aliasType {
		checkAlias(w, props)
	} else {
		checkAddresses(w, props)
	}
	if w.Old != nil {
		return nil
	}
	if full := fqdn(w.New); len(full)-1 > maxNameLength {
		w.Fail("InvalidResourceName", "name", "The full name of the record set has %d characters. At most %d are possible.", len(full)-1, maxNameLength)
	}
	n, err := count(ctx, w.Read, w.ID.Parent().String())
	if err != nil {
		return err
	}
	if n.records >= maxRecordSets {
		w.Problems = append(w.Problems, arm.Conflict("RecordSetCountExceeded", "The zone has %d record sets, which is the most that it can have. Delete some first.", n.records))
	}
	return checkNeighbours(ctx, w)
}

// Limits of metadata, as of tags.
const (
	maxMetadata     = 10
	maxMetadataText = 256
)

func checkMetadata(w *arm.Write, props kit.Doc) {
	metadata := props.Doc("metadata")
	if len(metadata) > maxMetadata {
		w.Fail("BadRequest", "properties.metadata", "The record set has %d metadata entries. At most %d are possible.", len(metadata), maxMetadata)
	}
	for k, v := range metadata {
		if text, ok := v.(string); !ok || len(text) > maxMetadataText || len(k) > maxMetadataText {
			w.Fail("BadRequest", "properties.metadata", "Metadata are names with texts, each of at most %d characters.", maxMetadataText)
			return
		}
	}
}

func checkAddresses(w *arm.Write, props kit.Doc) {
	records := props.Docs("aRecords")
	if records == nil {
		props["aRecords"] = []any{}
	}
	if len(records) > maxRecordsInASet {
		w.Fail("BadRequest", "properties.aRecords", "The record set has %d records. A record set can have at most %d.", len(records), maxRecordsInASet)
		return
	}
	seen := map[netip.Addr]bool{}
	for i, r := range records {
		target := fmt.Sprintf("properties.aRecords[%d].ipv4Address", i)
		rename(r, "ipv4Address")
		text, _ := r["ipv4Address"].(string)
		a, err := netip.ParseAddr(text)
		switch {
		case err != nil || !a.Is4():
			w.Fail("BadRequest", target, "The value '%.60s' of an A record is not an IPv4 address. Write it as 10.240.0.4.", text)
		case seen[a]:
			w.Fail("BadRequest", target, "The address %s stands twice in the record set. Records of a set must differ.", a)
		}
		seen[a] = true
	}
}

func checkAlias(w *arm.Write, props kit.Doc) {
	if w.ID.Name() == "@" {
		w.Fail("BadRequest", "name", "A CNAME record set cannot stand at the zone's own name ('@'), where the zone's SOA record is. Use an A record set there.")
	}
	alias := props.Doc("cnameRecord")
	rename(alias, "cname")
	name := alias.Str("cname")
	switch {
	case name == "":
	case strings.EqualFold(strings.TrimSuffix(name, ".")+".", fqdn(w.New)):
		w.Fail("BadRequest", "properties.cnameRecord.cname", "The CNAME record leads to itself. Name another host.")
	case !hostNames.MatchString(name) || len(strings.TrimSuffix(name, ".")) > maxNameLength:
		w.Fail("BadRequest", "properties.cnameRecord.cname", "The value '%.60s' of a CNAME record is not a DNS name. Write it as name.example.com.", name)
	}
}

// checkNeighbours refuses a CNAME beside other records of the same name (RFC 1034, section 3.6.2), also of a request at the same time.
func checkNeighbours(ctx context.Context, w *arm.Write) error {
	other, message := "CNAME", "The record could not be created because a CNAME record with the same name already exists in this zone. Delete that one first, or take another name."
	if w.New.Type == aliasType {
		other, message = "A", "The CNAME record could not be created because another record with the same name already exists in this zone. Delete that one first, or take another name."
	}
	key := arm.Key(w.ID.Parent().Child(other, w.ID.Name()).String())
	_, err := w.Read.Store.Get(ctx, key, nil)
	switch {
	case errors.Is(err, store.ErrNotFound):
		w.Tx.Expect(key, 0)
		return nil
	case err != nil:
		return err
	}
	w.Problems = append(w.Problems, arm.Conflict("Conflict", "%s", message).On("name"))
	return nil
}

// fqdn is the full name of a record set, with a dot at its end.
func fqdn(r *arm.Resource) string {
	zone := r.ParsedID().Parent().Name()
	if r.Name == "@" {
		return zone + "."
	}
	return r.Name + "." + zone + "."
}

func viewRecords(_ context.Context, r *arm.Resource, doc map[string]any) error {
	props := kit.Doc(doc).Sub("properties")
	delete(props, "provisioningState") // record sets have none
	props["fqdn"], props["isAutoRegistered"] = fqdn(r), false
	props.Default("metadata", map[string]any{})
	return nil
}

package privatedns

import (
	"context"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

// zones is the type of zones; it reads what stands below one.
type zones struct{ read *arm.Resources }

// computed are members of a zone's properties that the server sets when it is read.
var computed = []string{
	"maxNumberOfRecordSets", "numberOfRecordSets", "maxNumberOfVirtualNetworkLinks", "numberOfVirtualNetworkLinks",
	"maxNumberOfVirtualNetworkLinksWithRegistration", "numberOfVirtualNetworkLinksWithRegistration", "internalId",
}

func (z zones) admit(_ context.Context, w *arm.Write) error {
	props := kit.Props(w.New)
	rename(props, computed...)
	for _, name := range computed {
		delete(props, name)
	}
	if name := w.ID.Name(); len(name) > maxNameLength || strings.Count(name, ".") >= maxLabels {
		w.Fail("InvalidResourceName", "name", "The name '%.80s…' of the zone has %d labels and %d characters. At most %d and %d are possible.", name, strings.Count(name, ".")+1, len(name), maxLabels, maxNameLength)
	}
	return nil
}

// release refuses to delete a zone that networks are linked to, unless the group goes that holds both.
func (z zones) release(ctx context.Context, w *arm.Write) error {
	if w.Cascade {
		return nil
	}
	links, err := w.Read.Below(ctx, w.Old.ID, kit.ZoneLinkType)
	if err != nil {
		return err
	}
	var left []string
	for _, l := range links {
		if !l.Deleting {
			left = append(left, "'"+strings.TrimPrefix(l.ID, w.Old.ParsedID().Scope+"/providers/")+"'")
		}
	}
	if len(left) > 0 {
		w.Problems = append(w.Problems, arm.Conflict("CannotDeleteResource",
			"Cannot delete resource while nested resources exist. Some existing nested resource IDs include: %s. Please delete all nested resources before deleting this resource.", strings.Join(left[:min(len(left), 5)], ", ")))
	}
	return nil
}

// contents is how much a zone holds.
type contents struct{ records, links, registering int }

func count(ctx context.Context, read *arm.Resources, zone string) (contents, error) {
	n := contents{records: 1} // its SOA
	all, err := read.Below(ctx, zone, "")
	for _, r := range all {
		switch {
		case isRecords(r):
			n.records++
		case r.Type == kit.ZoneLinkType:
			n.links++
			if kit.Props(r).Bool("registrationEnabled") {
				n.registering++
			}
		}
	}
	return n, err
}

// view shows how much the zone holds and could hold.
func (z zones) view(ctx context.Context, r *arm.Resource, doc map[string]any) error {
	n, err := count(ctx, z.read, r.ID)
	if err != nil {
		return err
	}
	props := kit.Doc(doc).Sub("properties")
	props["maxNumberOfRecordSets"], props["numberOfRecordSets"] = maxRecordSets, n.records
	props["maxNumberOfVirtualNetworkLinks"], props["numberOfVirtualNetworkLinks"] = maxLinks, n.links
	props["maxNumberOfVirtualNetworkLinksWithRegistration"], props["numberOfVirtualNetworkLinksWithRegistration"] = maxRegistering, n.registering
	return nil
}

package virtualnetworks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/provider/network/subnets"
)

// writeSubnets writes the subnets that stand in the network's document, which are documents of their own, and
// takes those away that do not stand in it any more. A request without the property changes none.
func (t typ) writeSubnets(ctx context.Context, w *arm.Write, links *kit.Links, props kit.Doc) error {
	have, err := w.Read.Below(ctx, w.New.ID, kit.SubnetType)
	if err != nil {
		return err
	}
	raw, sent := props["subnets"]
	delete(props, "subnets")
	if !sent || raw == nil {
		return t.checkRest(w, props, have)
	}
	changes, gone := match(w, kit.Doc{"subnets": raw}.Docs("subnets"), have)
	if len(w.Problems) > 0 {
		return nil
	}
	for _, old := range gone {
		if err := subnets.Release(ctx, w, links, old); err != nil {
			return err
		}
		if err := removeWithChildren(ctx, w, old); err != nil {
			return err
		}
	}
	if err := subnets.Check(ctx, w, links, w.New, changes, nil); err != nil {
		return err
	}
	for _, c := range changes {
		if c.Old != nil && kit.Same(c.Old.Body, c.New.Body) {
			continue // its etag stays
		}
		arm.Put(w.Tx, c.New)
	}
	return nil
}

// checkRest refuses an address space that does not hold the subnets that there are.
func (t typ) checkRest(w *arm.Write, props kit.Doc, have []*arm.Resource) error {
	space := kit.SpacePrefixes(props)
	for _, s := range have {
		for _, p := range kit.Prefixes(kit.Props(s)) {
			if !kit.Within(p, space) {
				w.Fail("InUsePrefixCannotBeDeleted", spaceTarget, "The address space %s does not hold subnet '%s' (%s) any more. Keep its range, or delete the subnet first.", kit.List(space), s.Name, p)
			}
		}
	}
	return nil
}

// match finds for each subnet that was sent the one that is there, and lists those that were not sent.
func match(w *arm.Write, sent []kit.Doc, have []*arm.Resource) (changes []subnets.Change, gone []*arm.Resource) {
	byName := map[string]*arm.Resource{}
	for _, s := range have {
		byName[strings.ToLower(s.Name)] = s
	}
	seen := map[string]bool{}
	now := time.Now().UTC()
	for i, doc := range sent {
		at := fmt.Sprintf("properties.subnets[%d].", i)
		name := doc.Str("name")
		key := strings.ToLower(name)
		switch {
		case !subnets.Names.MatchString(name):
			w.Fail("InvalidResourceName", at+"name", "The name '%s' is not one for a subnet. Allowed: %s.", name, subnets.NameRule)
			continue
		case seen[key]:
			w.Fail("NetcfgDuplicateSubnetName", at+"name", "The subnet '%s' stands twice in the request. Names of subnets differ by more than case.", name)
			continue
		case !kit.CheckKinds(w, doc, at, map[string]kit.Kind{"properties": kit.Object}):
			continue
		case byName[key] != nil && byName[key].Deleting:
			w.Problems = append(w.Problems, arm.Conflict("AnotherOperationInProgress", "The subnet '%s' is being deleted. Wait until it is gone.", name).On(at+"name"))
			continue
		}
		seen[key] = true
		c := subnets.Change{Target: at + "properties.", Old: byName[key]}
		id := w.ID.Child("subnets", name)
		c.New = &arm.Resource{ID: id.String(), Type: kit.SubnetType, Name: name, State: arm.StateSucceeded, CreatedAt: now, CreatedBy: w.Principal.ObjectID}
		if c.Old != nil {
			copied := *c.Old
			copied.State, copied.Error, copied.Operation, copied.Wanted = arm.StateSucceeded, nil, "", ""
			c.New = &copied
		}
		body, _ := kit.Clone(map[string]any(doc)).(map[string]any)
		for _, fixed := range []string{"id", "name", "type", "etag"} {
			delete(body, fixed)
		}
		c.New.Body, c.New.ChangedAt, c.ID = body, now, c.New.ID
		changes = append(changes, c)
	}
	for _, s := range have {
		if !seen[strings.ToLower(s.Name)] {
			gone = append(gone, s)
		}
	}
	return changes, gone
}

// removeWithChildren deletes a subnet's document and what stands on it (role assignments).
func removeWithChildren(ctx context.Context, w *arm.Write, r *arm.Resource) error {
	below, err := w.Read.Below(ctx, r.ID, "")
	if err != nil {
		return err
	}
	for _, child := range append(below, r) {
		arm.Delete(w.Tx, child)
	}
	return nil
}

package networksecuritygroups

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// rule is a security rule that is written: alone, or within its group.
type rule struct {
	target string // path of its properties, with a dot at the end
	name   string
	props  kit.Doc
}

// writeRules writes the rules that stand in the group's document, which are documents
// of their own, and takes the others away. A PATCH without the property changes none.
func writeRules(ctx context.Context, w *arm.Write, props kit.Doc) error {
	raw, sent := props["securityRules"]
	delete(props, "securityRules")
	if !sent && w.Patch {
		return nil
	}
	have, err := w.Read.Below(ctx, w.New.ID, kit.RuleType)
	if err != nil {
		return err
	}
	byName := map[string]*arm.Resource{}
	for _, r := range have {
		byName[strings.ToLower(r.Name)] = r
	}
	var all []rule
	var writes []*arm.Resource
	now := time.Now().UTC()
	for i, doc := range (kit.Doc{"rules": raw}).Docs("rules") {
		at := fmt.Sprintf("properties.securityRules[%d].", i)
		name := doc.Str("name")
		if !names.MatchString(name) {
			w.Fail("InvalidResourceName", at+"name", "The name '%s' is not one for a security rule. Allowed: %s.", name, nameRule)
			continue
		}
		if !kit.CheckKinds(w, doc, at, map[string]kit.Kind{"properties": kit.Object}) {
			continue
		}
		body, _ := kit.Clone(map[string]any(doc)).(map[string]any)
		for _, fixed := range []string{"id", "name", "type", "etag"} {
			delete(body, fixed)
		}
		r := &arm.Resource{ID: w.New.ID + "/securityRules/" + name, Type: kit.RuleType, Name: name, State: arm.StateSucceeded, CreatedAt: now, CreatedBy: w.Principal.ObjectID}
		old := byName[strings.ToLower(name)]
		if old != nil {
			copied := *old
			copied.Wanted = ""
			r = &copied
		}
		r.Body, r.ChangedAt = body, now
		all = append(all, rule{at + "properties.", name, kit.Props(r)})
		check(w, all[len(all)-1])
		delete(byName, strings.ToLower(name))
		if old == nil || !kit.Same(old.Body, r.Body) {
			writes = append(writes, r)
		}
	}
	conflicts(w, all)
	if len(w.Problems) > 0 {
		return nil
	}
	for _, r := range writes {
		arm.Put(w.Tx, r)
	}
	for _, gone := range have {
		if byName[strings.ToLower(gone.Name)] != nil {
			arm.Delete(w.Tx, gone)
		}
	}
	return nil
}

// admitRule checks a rule that is written by itself.
func (t typ) admitRule(ctx context.Context, w *arm.Write) error {
	mine := rule{"properties.", w.ID.Name(), kit.Props(w.New)}
	check(w, mine)
	siblings, err := w.Read.Below(ctx, w.ID.Parent().String(), kit.RuleType)
	if err != nil {
		return err
	}
	var all []rule
	for _, s := range siblings {
		if s.ParsedID().Key() != w.ID.Key() {
			all = append(all, rule{"", s.Name, kit.Props(s)})
		}
	}
	conflicts(w, append(all, mine))
	return touch(ctx, w)
}

func (t typ) releaseRule(ctx context.Context, w *arm.Write) error {
	if w.Cascade {
		return nil
	}
	return touch(ctx, w)
}

// touch changes the group's revision with every rule: two of the same priority cannot be written at once.
func touch(ctx context.Context, w *arm.Write) error {
	links := kit.NewLinks(w.Read, w.Tx)
	group, err := links.Load(ctx, w.ID.Parent().String())
	if err != nil || group == nil {
		return err
	}
	links.Changed(group)
	links.Save()
	return nil
}

// interfaceOwners lists who has interfaces with the group: the ids in their specs.
func interfaceOwners(ctx context.Context, r store.Reader, group string) ([]string, error) {
	docs, _, err := r.List(ctx, spec.NICPrefix)
	if err != nil {
		return nil, err
	}
	var out []string
	seen := map[string]bool{}
	for _, d := range docs {
		var nic spec.NIC
		if err := json.Unmarshal(d.Value, &nic); err != nil {
			return nil, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		if strings.EqualFold(nic.SecurityGroup, group) && !seen[nic.Owner] {
			seen[nic.Owner] = true
			out = append(out, nic.Owner)
		}
	}
	return out, nil
}

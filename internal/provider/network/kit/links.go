package kit

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// Links collects what one transaction changes of other resources: who uses them,
// and which addresses are taken. Every document is read once and written at most once, with
// the condition that nobody changed it meanwhile: what is used cannot be deleted at the same time.
type Links struct {
	read  *arm.Resources
	tx    *store.Tx
	docs  map[string]*linked
	pools map[string]*pool
}

type linked struct {
	r       *arm.Resource
	changed bool
	there   bool // the condition is wanted although nothing changed
}

// NewLinks begins to collect for the transaction.
func NewLinks(read *arm.Resources, tx *store.Tx) *Links {
	return &Links{read: read, tx: tx, docs: map[string]*linked{}, pools: map[string]*pool{}}
}

// Load reads a resource; nil if there is none. The caller may change it and call Changed.
func (l *Links) Load(ctx context.Context, id string) (*arm.Resource, error) {
	parsed, err := resourceid.Parse(id)
	if err != nil {
		return nil, nil //nolint:nilerr // what has no valid id is not there
	}
	if d := l.docs[parsed.Key()]; d != nil {
		return d.r, nil
	}
	r, err := l.read.Get(ctx, id)
	if arm.IsNotFound(err) {
		r, err = nil, nil
	}
	if err == nil {
		l.docs[parsed.Key()] = &linked{r: r}
	}
	return r, err
}

// Changed has the loaded resource written with the transaction, also if only its revision is to change.
func (l *Links) Changed(r *arm.Resource) { l.docs[r.ParsedID().Key()].changed = true }

// Ref is a reference from the resource that is written to another one.
type Ref struct {
	Target string // path of the field
	ID     string
	Type   string
	Action string // the operation that the caller needs on it; "": none
	Region string // where it must be; "": anywhere
	Held   bool   // the resource refers to it already: the caller was asked for the permission then
}

// Use checks a reference, and reports what is wrong with it: then the result is nil. An error is the missing permission.
func (l *Links) Use(ctx context.Context, w *arm.Write, ref Ref) (*arm.Resource, error) {
	id, err := resourceid.Parse(ref.ID)
	if err != nil || !strings.EqualFold(id.Type(), ref.Type) || id.IsCollection() || id.ResourceGroup() == "" {
		w.Fail("InvalidResourceReference", ref.Target, "'%s' is not the id of a resource of type %s: /subscriptions/{id}/resourceGroups/{group}/providers/%s.", ref.ID, ref.Type, pattern(ref.Type))
		return nil, nil
	}
	// Who may not use it does not learn whether it is there.
	if ref.Action != "" && !ref.Held {
		if err := w.Allowed(ctx, ref.Action, id.String()); err != nil {
			return nil, linkedError(err)
		}
	}
	r, err := l.Load(ctx, ref.ID)
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		w.Fail("InvalidResourceReference", ref.Target, "Resource %s referenced by resource %s was not found. Create it first, or name one that exists.", ref.ID, w.ID)
		return nil, nil
	case r.Deleting:
		w.Fail("ReferencedResourceNotProvisioned", ref.Target, "Resource %s referenced by resource %s is being deleted. Name another one.", r.ID, w.ID)
		return nil, nil
	case ref.Region != "" && r.Location() != "" && Region(r.Location()) != Region(ref.Region):
		w.Fail("InvalidResourceReference", ref.Target, "Resource %s is in %s, and resource %s in %s. Both must be in one region.", r.ID, Region(r.Location()), w.ID, Region(ref.Region))
		return nil, nil
	}
	l.docs[id.Key()].there = true
	return r, nil
}

// pattern writes a type as the end of an id: Microsoft.Network/virtualNetworks/{virtualNetworks}/subnets/{subnets}.
func pattern(typ string) string {
	parts := strings.Split(typ, "/")
	out := parts[0]
	for _, p := range parts[1:] {
		out += "/" + p + "/{name}"
	}
	return out
}

// linkedError gives a refused permission on another resource Azure's code for that.
func linkedError(err error) error {
	var e *arm.Error
	if errors.As(err, &e) && e.Code == "AuthorizationFailed" {
		return arm.Errorf(e.Status, "LinkedAuthorizationFailed", "The request uses another resource. %s", e.Message)
	}
	return err
}

// Save adds the changes and conditions to the transaction. Call it once, last.
func (l *Links) Save() {
	for _, key := range sortedKeys(l.docs) {
		switch d := l.docs[key]; {
		case d.r == nil:
		case d.changed:
			arm.Put(l.tx, d.r)
		case d.there:
			l.tx.Expect(arm.Key(d.r.ID), d.r.Rev)
		}
	}
	for _, key := range sortedKeys(l.pools) {
		if p := l.pools[key]; p.changed {
			p.Save(l.tx)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

const usersKey = "users"

// Users lists the ids of what uses the resource, as written.
func Users(r *arm.Resource) []string { return Doc(r.Private).Strings(usersKey) }

// Attach notes that the loaded resource is used.
func (l *Links) Attach(r *arm.Resource, user string) {
	users := Users(r)
	if slices.ContainsFunc(users, func(u string) bool { return strings.EqualFold(u, user) }) {
		return
	}
	setUsers(r, append(users, user))
	l.Changed(r)
}

// Detach notes that a resource is not used any more by user; it need not be there.
func (l *Links) Detach(ctx context.Context, id, user string) error {
	if id == "" {
		return nil
	}
	r, err := l.Load(ctx, id)
	if err != nil || r == nil {
		return err
	}
	before := Users(r)
	after := slices.DeleteFunc(slices.Clone(before), func(u string) bool { return strings.EqualFold(u, user) })
	if len(after) != len(before) {
		setUsers(r, after)
		l.Changed(r)
	}
	return nil
}

func setUsers(r *arm.Resource, users []string) {
	if r.Private == nil {
		r.Private = map[string]any{}
	}
	list := make([]any, len(users))
	for i, u := range users {
		list[i] = u
	}
	r.Private[usersKey] = list
}

package arm

import (
	"context"
	"errors"
	"strings"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// Resources reads ARM resources from the store, and adds them to transactions.
type Resources struct{ Store store.Reader }

// Get reads the resource with this id (any case); a 404 *Error if there is none.
func (rs *Resources) Get(ctx context.Context, id string) (*Resource, error) {
	parsed, err := resourceid.Parse(id)
	if err != nil {
		return nil, BadRequest("InvalidResourceId", "%v", err)
	}
	r, err := rs.shared(ctx, parsed)
	if err != nil {
		return nil, err
	}
	return r.copy(), nil
}

// shared is Get for readers that change nothing: see type shared.
func (rs *Resources) shared(ctx context.Context, parsed resourceid.ID) (*Resource, error) {
	d, err := rs.Store.Doc(ctx, keyOf(parsed))
	if errors.Is(err, store.ErrNotFound) {
		if parsed.Namespace == "" && parsed.ResourceGroup() != "" {
			return nil, NotFound("ResourceGroupNotFound", "Resource group '%s' could not be found.", parsed.ResourceGroup())
		}
		return nil, NotFound("ResourceNotFound", "The Resource '%s/%s' under resource group '%s' was not found.", parsed.Type(), strings.Join(parsed.Names, "/"), parsed.ResourceGroup())
	}
	if err != nil {
		return nil, err
	}
	return decodeShared(d)
}

// Below lists the resources whose ids begin with the scope, of one type (any
// case) or, with "", of all. A scope is "/", a subscription, a group or a resource.
func (rs *Resources) Below(ctx context.Context, scope, typ string) ([]*Resource, error) {
	all, err := rs.sharedBelow(ctx, scope, typ)
	if err != nil {
		return nil, err
	}
	for i, r := range all {
		all[i] = r.copy()
	}
	return all, nil
}

// sharedBelow is Below for readers that change nothing: see type shared.
func (rs *Resources) sharedBelow(ctx context.Context, scope, typ string) ([]*Resource, error) {
	prefix := "/res" + strings.TrimSuffix(strings.ToLower(scope), "/") + "/"
	docs, _, err := rs.Store.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make([]*Resource, 0, len(docs))
	for _, d := range docs {
		r, err := decodeShared(d)
		if err != nil {
			return nil, err
		}
		if typ == "" || r.Type == typ || strings.EqualFold(r.Type, typ) {
			out = append(out, r)
		}
	}
	return out, nil
}

// Put adds r to the transaction, on the condition that its revision is still r.Rev (0: it is new).
func Put(tx *store.Tx, r *Resource) { tx.Update(Key(r.ID), r.Rev, r) }

// Delete adds the removal of r's document, if it was not changed.
func Delete(tx *store.Tx, r *Resource) { tx.Expect(Key(r.ID), r.Rev).Delete(Key(r.ID)) }

// IsNotFound tells whether err is an ARM 404.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == 404
}

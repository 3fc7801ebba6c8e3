package arm

import (
	"context"
	"strings"

	"cloister.dev/cloister/internal/resourceid"
)

// Write creates or replaces a resource through the same admission as a client's PUT, as p
// (a reconciler uses System). The body is a whole document: what it does not name
// is gone, except what the type's Admit keeps. It is safe to call again and again: the same body, written last by Cloister
// itself, changes nothing and starts no operation (of a resource that failed, it tries again after half a minute). While an operation runs on the
// resource, System's write joins it. managedBy names the resource that owns this one, or is empty.
func (s *Server) Write(ctx context.Context, p Principal, id string, body map[string]any, managedBy string) (*Resource, error) {
	rid, t, err := s.own(id)
	if err != nil {
		return nil, err
	}
	if body, err = normal(body); err != nil {
		return nil, err
	}
	c := &change{id: rid, typ: t, principal: p, body: body}
	if p.System {
		c.managedBy = managedBy
		if c.wanted, err = digest([]any{body, managedBy}); err != nil {
			return nil, err
		}
	} else if err := s.authorize(ctx, p, t.Name+"/write", rid.String()); err != nil {
		return nil, err
	}
	r, _, _, err := s.write(ctx, c)
	return r, err
}

// Delete begins to delete a resource as p, or finds that it has begun. gone tells that nothing is
// there any more; until then, call it again (a change of the resource wakes whoever watches it). When
// an earlier attempt has failed, it begins another one and returns that failure.
func (s *Server) Delete(ctx context.Context, p Principal, id string) (gone bool, err error) {
	rid, t, err := s.own(id)
	if err != nil {
		return false, err
	}
	if err := s.authorize(ctx, p, t.Name+"/delete", rid.String()); err != nil {
		return false, err
	}
	old, err := s.read.Get(ctx, rid.String())
	if IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	_, op, err := s.remove(ctx, &change{id: rid, typ: t, principal: p})
	switch {
	case err != nil:
		return false, err
	case op == nil || op.Status == Succeeded:
		return true, nil
	case old.State == StateFailed && old.Error != nil && (old.Deleting || strings.HasSuffix(old.Error.Code, "DeletionBlocked")):
		return false, old.Error
	}
	return false, nil
}

// own resolves an id that Cloister made itself.
func (s *Server) own(id string) (resourceid.ID, *Type, error) {
	segs, problem := splitPath(id)
	if problem != nil {
		return resourceid.ID{}, nil, problem
	}
	rid, t, err := s.resolve(segs)
	if err == nil && rid.IsCollection() {
		err = BadRequest("InvalidResourceId", "'%s' is the id of a collection.", id)
	}
	return rid, t, err
}

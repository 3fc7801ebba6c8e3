package arm

import (
	"context"
	"net/http"
	"time"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// deleteWait is how long a DELETE of a type that is not Async waits for the end, before it says 202.
const deleteWait = 30 * time.Second

func (s *Server) serveDelete(ctx context.Context, q *request, id resourceid.ID, t *Type) (*Response, error) {
	if err := s.authorize(ctx, q.principal, t.Name+"/delete", id.String()); err != nil {
		return nil, err
	}
	r, op, err := s.remove(ctx, q.change(id, t))
	if err != nil {
		return nil, err
	}
	if r == nil {
		if _, err := s.get(ctx, id); isCode(err, "ResourceGroupNotFound") {
			return nil, err // the group itself, or the group that it would be in
		}
		return &Response{Status: http.StatusNoContent}, nil
	}
	if !t.Async && op != nil && !op.ended() {
		if op, err = s.waitFor(ctx, op, deleteWait); err != nil {
			return nil, err
		}
	}
	switch {
	case op == nil || op.Status == Succeeded:
		return &Response{Status: http.StatusOK}, nil
	case op.ended():
		return s.operationResult(ctx, q, op, "")
	}
	return &Response{Status: http.StatusAccepted, Headers: s.links(op, r, q.apiVersion)}, nil
}

// waitFor returns the operation as it is when it has ended, or after the time given.
func (s *Server) waitFor(ctx context.Context, op *Operation, most time.Duration) (*Operation, error) {
	watch, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for range s.Store.Watch(watch, op.Key(), op.Rev) {
		now, err := s.operation(ctx, op.Key())
		if err != nil {
			return nil, err
		}
		if now == nil || now.ended() {
			return now, nil
		}
	}
	return op, ctx.Err()
}

// remove admits a delete and marks the resource; what the type does to take it down,
// and the end of the document, is the reconciler's. r is nil if there is none, op is the delete's operation.
func (s *Server) remove(ctx context.Context, c *change) (r *Resource, op *Operation, err error) {
	err = s.retried(ctx, c, func() error {
		r, op, err = s.tryRemove(ctx, c)
		return err
	})
	return r, op, err
}

func (s *Server) tryRemove(ctx context.Context, c *change) (*Resource, *Operation, error) {
	old, err := s.current(ctx, c)
	if err != nil || old == nil {
		return nil, nil, err
	}
	if err := s.unlocked(ctx, c, "delete"); err != nil {
		return nil, nil, err
	}
	run, err := s.running(ctx, old)
	if err != nil {
		return nil, nil, err
	}
	if old.Deleting && run != nil {
		return old, run, nil
	}
	tx := &store.Tx{}
	w := &Write{ID: old.ParsedID(), Principal: c.principal, Old: old, Cascade: c.cascade, Read: s.read, Tx: tx, Allowed: s.allowed(c.principal)}
	if c.typ.Release != nil {
		if err := c.typ.Release(ctx, w); err != nil {
			return nil, nil, err
		}
		if err := together(w.Problems); err != nil {
			return nil, nil, err
		}
	}
	if run != nil {
		s.end(tx, run, Canceled, Conflict("OperationPreempted", "The operation was given up because the resource was deleted."))
	}
	op := s.newOperation("delete", w.ID, c.principal)
	op.Cascade = c.cascade
	tx.Create(op.Key(), op)
	r := old.copy()
	r.Deleting, r.State, r.Operation, r.Error, r.ChangedAt = true, StateDeleting, op.Key(), nil, s.Now().UTC()
	Put(tx, r)
	rev, err := s.Store.Commit(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	r.Rev, op.Rev = rev, rev
	return s.finishAtOnce(ctx, c.typ, r, op)
}

// finishAtOnce ends a delete that has nothing to wait for. Marking came first, so that no child can appear meanwhile.
func (s *Server) finishAtOnce(ctx context.Context, t *Type, r *Resource, op *Operation) (*Resource, *Operation, error) {
	if t.Remove != nil {
		return r, op, nil
	}
	below, err := s.read.Below(ctx, r.ID, "")
	if err != nil || len(below) > 0 {
		s.Logger.DebugContext(ctx, "left to the reconciler", "resource", r.ID, "below", len(below), "error", err)
		return r, op, nil
	}
	ended := *op
	tx := &store.Tx{}
	Delete(tx, r)
	s.end(tx, &ended, Succeeded, nil)
	if _, err := s.Store.Commit(ctx, tx); err != nil {
		s.Logger.DebugContext(ctx, "left to the reconciler", "resource", r.ID, "error", err)
		return r, op, nil
	}
	return r, &ended, nil
}

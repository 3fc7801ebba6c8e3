package arm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// serveAction answers POST {resource}/{action}.
func (s *Server) serveAction(ctx context.Context, q *request, id resourceid.ID, t *Type, a Action) (*Response, error) {
	permission := a.Permission
	if permission == "" {
		permission = q.segs[len(q.segs)-1] + "/action"
	}
	if err := s.authorize(ctx, q.principal, t.Name+"/"+permission, id.String()); err != nil {
		return nil, err
	}
	body, err := q.body(false)
	if err != nil {
		return nil, err
	}
	c := q.change(id, t)
	var resp *Response
	err = s.retried(ctx, c, func() error {
		resp, err = s.tryAction(ctx, q, c, a, body)
		return err
	})
	return resp, err
}

func (s *Server) tryAction(ctx context.Context, q *request, c *change, a Action, body map[string]any) (*Response, error) {
	r, err := s.get(ctx, c.id)
	if err != nil {
		return nil, err
	}
	if c.ifMatch != "" && !matches(c.ifMatch, r) {
		return nil, preconditionFailed(c.id)
	}
	if err := s.unlocked(ctx, c, "action"); err != nil {
		return nil, err
	}
	if a.Async {
		if _, err := s.free(ctx, c, r); err != nil {
			return nil, err
		}
	}
	next := r.copy()
	tx := &store.Tx{}
	bodyCopy, _ := clone(body).(map[string]any)
	result, err := a.Run(ctx, &ActionRequest{ID: c.id, Principal: q.principal, Resource: next, Query: q.query, Body: bodyCopy, Read: s.read, Tx: tx})
	if err != nil {
		return nil, err
	}
	if !a.Async {
		if len(tx.Changes) > 0 {
			if _, err := s.Store.Commit(ctx, tx); err != nil {
				return nil, err
			}
		}
		if result == nil {
			return &Response{Status: http.StatusNoContent}, nil
		}
		return &Response{Body: result}, nil
	}
	op := s.newOperation(q.segs[len(q.segs)-1], c.id, q.principal)
	if result != nil {
		if op.Result, err = json.Marshal(result); err != nil {
			return nil, fmt.Errorf("encode result: %w", err)
		}
	}
	if next.Body, err = normal(next.Body); err != nil {
		return nil, err
	}
	next.State, next.Operation, next.Error, next.Deleting, next.ChangedAt, next.Wanted = StateUpdating, op.Key(), nil, false, s.Now().UTC(), ""
	tx.Create(op.Key(), op)
	Put(tx, next)
	if _, err := s.Store.Commit(ctx, tx); err != nil {
		return nil, err
	}
	return &Response{Status: http.StatusAccepted, Headers: s.links(op, next, q.apiVersion)}, nil
}

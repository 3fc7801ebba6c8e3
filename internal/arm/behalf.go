package arm

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// Show is what p gets of a GET of the resource.
func (s *Server) Show(ctx context.Context, p Principal, id string) (map[string]any, error) {
	rid, t, err := s.own(id)
	if err != nil {
		return nil, err
	}
	if err := s.authorize(ctx, p, t.Name+"/read", rid.String()); err != nil {
		return nil, err
	}
	r, err := s.get(ctx, rid)
	if err != nil {
		return nil, err
	}
	return s.Document(ctx, r)
}

// Call is what p gets of a POST of an action that answers at once (listKeys).
func (s *Server) Call(ctx context.Context, p Principal, id, action string, body map[string]any) (any, error) {
	rid, t, err := s.own(id)
	if err != nil {
		return nil, err
	}
	a, ok := t.Actions[strings.ToLower(action)]
	if !ok || a.Async {
		return nil, NotFound("InvalidResourceOperation", "The type '%s' has no function '%s'.", t.Name, printable(action))
	}
	q := &request{principal: p, segs: []string{action}, query: map[string]string{}}
	if a.Permission == "" {
		a.Permission = action + "/action"
	}
	if err := s.authorize(ctx, p, t.Name+"/"+a.Permission, rid.String()); err != nil {
		return nil, err
	}
	c := &change{id: rid, typ: t, principal: p}
	var resp *Response
	err = s.retried(ctx, c, func() error {
		resp, err = s.tryAction(ctx, q, c, a, body)
		return err
	})
	if err != nil || resp.Status == http.StatusNoContent {
		return nil, err
	}
	b, err := json.Marshal(resp.Body)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(b, &out)
}

// MayWrite tells whether Cloister has the resource's type, and p may write it there: nil, or why not.
func (s *Server) MayWrite(ctx context.Context, p Principal, id string) error {
	rid, t, err := s.own(id)
	if err != nil {
		return err
	}
	return s.authorize(ctx, p, t.Name+"/write", rid.String())
}

// Operation reads an operation by its key (Resource.Operation); nil if it ended more than a day ago.
func (s *Server) Operation(ctx context.Context, key string) (*Operation, error) {
	return s.operation(ctx, key)
}

package arm

import (
	"context"
	"net/http"

	"cloister.dev/cloister/internal/resourceid"
)

func (s *Server) serveGet(ctx context.Context, q *request, id resourceid.ID, t *Type) (*Response, error) {
	if err := s.authorize(ctx, q.principal, t.Name+"/read", id.String()); err != nil {
		return nil, err
	}
	r, err := s.read.shared(ctx, id)
	if IsNotFound(err) {
		r, err = s.get(ctx, id) // says what is missing
	}
	if err != nil {
		return nil, err
	}
	if q.http.Method == http.MethodHead {
		return &Response{Status: http.StatusNoContent, Headers: map[string]string{"ETag": r.ETag()}}, nil
	}
	doc, err := s.render(ctx, r)
	if err != nil {
		return nil, err
	}
	return &Response{Status: http.StatusOK, Headers: map[string]string{"Etag": r.ETag()}, Body: doc}, nil
}

// get reads a resource; of what is not there it says which part is missing first.
func (s *Server) get(ctx context.Context, id resourceid.ID) (*Resource, error) {
	r, err := s.read.Get(ctx, id.String())
	if !IsNotFound(err) {
		return r, err
	}
	if group := id.Group(); !group.IsZero() && id.Namespace != "" && s.types[groupKey] != nil {
		if _, err := s.read.Get(ctx, group.String()); err != nil {
			return nil, err
		}
	}
	return nil, err
}

// shown answers with the resource.
func (s *Server) shown(ctx context.Context, r *Resource, status int) (*Response, error) {
	doc, err := s.Document(ctx, r)
	if err != nil {
		return nil, err
	}
	return &Response{Status: status, Headers: map[string]string{"ETag": r.ETag()}, Body: doc}, nil
}

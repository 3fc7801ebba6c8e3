package arm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"cloister.dev/cloister/internal/resourceid"
)

// builtin is what answers a path that every ARM endpoint has (operations, and lists of all resources), or nil.
func (s *Server) builtin(q *request) func(context.Context) (*Response, error) {
	if id, results, ok := operationPath(q.segs); ok {
		return func(ctx context.Context) (*Response, error) { return s.serveOperation(ctx, q, id, results) }
	}
	n := len(q.segs)
	if (n != 3 && n != 5) || !strings.EqualFold(q.segs[0], "subscriptions") || !strings.EqualFold(q.segs[n-1], "resources") {
		return nil
	}
	scope, err := resourceid.Parse("/" + strings.Join(q.segs[:n-1], "/"))
	if err != nil {
		return nil
	}
	return func(ctx context.Context) (*Response, error) { return s.serveAll(ctx, q, scope) }
}

// serveAll is `az resource list`: every resource of a subscription or a group that has a location.
// https://learn.microsoft.com/rest/api/resources/resources/list
func (s *Server) serveAll(ctx context.Context, q *request, scope resourceid.ID) (*Response, error) {
	action := "Microsoft.Resources/subscriptions/resources/read"
	if scope.ResourceGroup() != "" {
		action = "Microsoft.Resources/subscriptions/resourceGroups/resources/read"
		if _, err := s.read.Get(ctx, scope.String()); err != nil {
			if aerr := s.authorize(ctx, q.principal, action, scope.String()); aerr != nil {
				return nil, aerr
			}
			return nil, err
		}
	}
	all, err := s.read.sharedBelow(ctx, scope.String(), "")
	if err != nil {
		return nil, err
	}
	var tracked []*Resource
	for _, r := range all {
		if t := s.types[strings.ToLower(r.Type)]; t != nil && t.Tracked && r.Type != groupType {
			tracked = append(tracked, r)
		}
	}
	visible, err := s.visible(ctx, q.principal, action, scope, tracked)
	if err != nil {
		return nil, err
	}
	expand := strings.Split(q.query["$expand"], ",")
	return s.page(q, visible, func(r *Resource) (rendered, error) { return json.Marshal(brief(r, expand)) })
}

// brief is a resource as it stands in lists of all resources.
func brief(r *Resource, expand []string) map[string]any {
	doc := map[string]any{"id": r.ID, "name": r.Name, "type": r.Type}
	if names := r.ParsedID().Names; len(names) > 1 {
		doc["name"] = strings.Join(names, "/") // a nested resource has its whole name here, as in Azure: zone/link
	}
	for _, key := range []string{"location", "tags", "kind", "sku", "identity", "plan", "zones", "extendedLocation"} {
		if v, ok := r.Body[key]; ok {
			doc[key] = v
		}
	}
	if r.ManagedBy != "" {
		doc["managedBy"] = r.ManagedBy
	}
	for _, e := range expand {
		switch strings.ToLower(strings.TrimSpace(e)) {
		case "createdtime":
			doc["createdTime"] = r.CreatedAt.Format(time.RFC3339Nano)
		case "changedtime":
			doc["changedTime"] = r.ChangedAt.Format(time.RFC3339Nano)
		case "provisioningstate":
			doc["provisioningState"] = r.State
		}
	}
	return doc
}

// serveList lists the resources of one type: below a subscription or group, the
// children of a resource, or the extension resources that hold at a scope.
func (s *Server) serveList(ctx context.Context, q *request, id resourceid.ID, t *Type) (*Response, error) {
	parent := id.Parent()
	found, err := s.collect(ctx, q, id, parent, t)
	if err != nil {
		if aerr := s.authorize(ctx, q.principal, t.Name+"/read", parent.String()); aerr != nil {
			return nil, aerr // who may not read does not learn what is missing
		}
		return nil, err
	}
	visible, err := s.visible(ctx, q.principal, t.Name+"/read", parent, found)
	if err != nil {
		return nil, err
	}
	return s.page(q, visible, func(r *Resource) (rendered, error) { return s.render(ctx, r) })
}

func (s *Server) collect(ctx context.Context, q *request, id, parent resourceid.ID, t *Type) ([]*Resource, error) {
	if parent.Namespace != "" || parent.ResourceGroup() != "" && s.types[groupKey] != nil {
		if _, err := s.get(ctx, parent); err != nil {
			return nil, err
		}
	}
	all, err := s.read.sharedBelow(ctx, parent.String(), t.Name)
	if err != nil {
		return nil, err
	}
	if t.Extension {
		return s.collectExtensions(ctx, id, t, all, strings.Contains(strings.ToLower(q.query["$filter"]), "atscope()"))
	}
	if parent.Namespace == "" && !t.Anywhere {
		return all, nil
	}
	var out []*Resource
	parentKey := parent.Key() // of what may stand anywhere, each scope lists its own
	for _, r := range all {
		if r.ParsedID().Parent().Key() == parentKey {
			out = append(out, r)
		}
	}
	return out, nil
}

// collectExtensions lists what holds at the scope because it stands there or above, and
// what stands below; with atScope() not what stands below.
func (s *Server) collectExtensions(ctx context.Context, id resourceid.ID, t *Type, below []*Resource, atScope bool) ([]*Resource, error) {
	var out []*Resource
	scope := strings.ToLower(id.Scope)
	for _, r := range below {
		if !atScope || strings.ToLower(r.ParsedID().Scope) == scope {
			out = append(out, r)
		}
	}
	if id.Scope == "" {
		return out, nil
	}
	above, err := resourceid.Parse(id.Scope)
	for err == nil && above.String() != "/" {
		above = above.Parent()
		prefix := strings.TrimSuffix(above.String(), "/") + "/providers/" + t.Name
		at, berr := s.read.sharedBelow(ctx, prefix, t.Name)
		if berr != nil {
			return nil, berr
		}
		out = append(out, at...)
	}
	return out, err
}

// visible leaves out what the principal may not read, unless it may read all of the scope.
// Where it may read nothing at all of a group or a resource, it is told so.
func (s *Server) visible(ctx context.Context, p Principal, action string, scope resourceid.ID, found []*Resource) ([]*Resource, error) {
	refused := s.authorize(ctx, p, action, scope.String())
	if refused == nil {
		return found, nil
	}
	var e *Error
	if !errors.As(refused, &e) || e.Status != http.StatusForbidden {
		return nil, refused
	}
	var out []*Resource
	for _, r := range found {
		if s.authorize(ctx, p, r.Type+"/read", r.ID) == nil {
			out = append(out, r)
		}
	}
	if len(out) == 0 && scope.ResourceGroup() != "" {
		return nil, refused
	}
	return out, nil
}

package arm

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/resourceid"
)

// dispatch finds out what a path names: a route, an operation, a list of all
// resources, a resource of some type, a collection of them, or an action.
func (s *Server) dispatch(ctx context.Context, q *request) (*Response, error) {
	method := q.http.Method
	r, params, methods, ok := s.findRoute(method, q.segs)
	if ok {
		return s.serveRoute(ctx, q, r, params)
	}
	if method == http.MethodGet || method == http.MethodHead {
		if serve := s.builtin(q); serve != nil {
			return serve(ctx)
		}
	}
	if method == http.MethodPost && len(q.segs) > 1 {
		if id, t, err := s.resolve(q.segs[:len(q.segs)-1]); err == nil && !id.IsCollection() {
			if action, ok := t.Actions[strings.ToLower(q.segs[len(q.segs)-1])]; ok {
				return s.serveAction(ctx, q, id, t, action)
			}
		}
	}
	id, t, err := s.resolve(q.segs)
	if err != nil {
		if len(methods) > 0 {
			return nil, notAllowed(method, methods)
		}
		return nil, err
	}
	if id.IsCollection() {
		if method == http.MethodGet || method == http.MethodHead {
			return s.serveList(ctx, q, id, t)
		}
		return nil, notAllowed(method, []string{http.MethodGet})
	}
	switch method {
	case http.MethodGet, http.MethodHead:
		return s.serveGet(ctx, q, id, t)
	case http.MethodPut, http.MethodPatch:
		return s.serveWrite(ctx, q, id, t)
	case http.MethodDelete:
		return s.serveDelete(ctx, q, id, t)
	}
	return nil, notAllowed(method, []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete})
}

func notAllowed(method string, allowed []string) *Error {
	slices.Sort(allowed)
	return Errorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "The method %s is not one that this path has. It has: %s.", printable(method), strings.Join(slices.Compact(allowed), ", "))
}

// resolve reads decoded path segments as an id, or as a collection's, and finds its type. The
// id's fixed words come out in Azure's case, the names as they were written.
func (s *Server) resolve(segs []string) (resourceid.ID, *Type, error) {
	var none resourceid.ID
	path := "/" + strings.Join(segs, "/")
	if len(segs) == 3 && strings.EqualFold(segs[0], "subscriptions") && strings.EqualFold(segs[2], "resourceGroups") {
		if t := s.types[groupKey]; t != nil { // the one collection whose path has no providers
			id, err := resourceid.Parse("/subscriptions/" + segs[1] + "/providers/" + groupType)
			return id, t, err
		}
	}
	id, err := resourceid.Parse(path)
	if err != nil {
		return none, nil, NotFound("InvalidResourceId", "The path '%s' names nothing here: %v.", printable(path), err)
	}
	if id.Namespace == "" && len(segs) != 2 && len(segs) != 4 {
		return none, nil, NotFound("InvalidResourceId", "The path '%s' names nothing here.", printable(path))
	}
	t := s.typeOf(id)
	if t == nil {
		return none, nil, s.unknownType(id)
	}
	if err := s.checkScope(id, t); err != nil {
		return none, nil, err
	}
	if canonical := s.canonical(id); canonical != id.String() {
		id, err = resourceid.Parse(canonical)
	}
	return id, t, err
}

// unknownType refuses what Cloister does not have, with a sentence that says so.
func (s *Server) unknownType(id resourceid.ID) *Error {
	namespace := id.Namespace
	if namespace == "" {
		return NotFound("InvalidResourceType", "Cloister has no operation on '%s'.", printable(id.String()))
	}
	names := s.TypeNames(namespace)
	if len(names) == 0 {
		var have []string
		for _, n := range s.namespaces {
			have = append(have, n)
		}
		return NotFound("NoRegisteredProviderFound", "Cloister does not have the resource provider '%s', so nothing was made. It has: %s. `az provider list` shows their types.",
			printable(namespace), strings.Join(sorted(have), ", "))
	}
	return NotFound("InvalidResourceType", "Cloister does not have the resource type '%s', so nothing was made. Of %s it has: %s.",
		printable(id.Type()), s.namespaces[strings.ToLower(namespace)], strings.Join(names, ", "))
}

// checkScope refuses ids that could not be written back to: a resource that is
// no extension stands in a group (its collection in a subscription, too), an extension on any whole id.
func (s *Server) checkScope(id resourceid.ID, t *Type) *Error {
	if id.Namespace == "" {
		return nil
	}
	bad := NotFound("InvalidResourceId", "The scope '%s' is no subscription, resource group or resource.", printable(id.Scope))
	if t.Name == groupType && (!id.IsCollection() || strings.Count(id.Scope, "/") != 2) {
		return bad
	}
	if id.Scope == "" {
		if t.Extension || t.Anywhere {
			return nil
		}
		return bad
	}
	scope, err := resourceid.Parse(id.Scope)
	if err != nil || scope.IsCollection() {
		return bad
	}
	if t.Anywhere && len(id.Types) > 1 {
		return bad
	}
	if scope.Namespace != "" {
		st := s.typeOf(scope)
		if !t.Extension || st == nil {
			return bad
		}
		return s.checkScope(scope, st)
	}
	n := strings.Count(scope.String(), "/")
	if scope.Subscription() == "" || n != 2 && n != 4 {
		return bad
	}
	if n == 2 && !t.Extension && !t.Anywhere && !id.IsCollection() {
		return NotFound("MissingResourceGroup", "A resource of type '%s' stands in a resource group: /subscriptions/%s/resourceGroups/<name>/providers/%s/<name>.", t.Name, scope.Subscription(), t.Name)
	}
	if n == 2 && !t.Extension && !t.Anywhere && len(id.Types) > 1 {
		return bad
	}
	return nil
}

// canonical writes an id with the fixed words in Azure's case.
func (s *Server) canonical(id resourceid.ID) string {
	if id.Namespace == "" {
		switch {
		case id.ResourceGroup() != "":
			return "/subscriptions/" + id.Subscription() + "/resourceGroups/" + id.ResourceGroup()
		case id.Subscription() != "":
			return "/subscriptions/" + id.Subscription()
		}
		return id.String()
	}
	out := ""
	if id.Scope != "" {
		if scope, err := resourceid.Parse(id.Scope); err == nil {
			out = s.canonical(scope)
		}
	}
	types := append([]string{id.Namespace}, id.Types...)
	if t := s.typeOf(id); t != nil {
		types = strings.Split(t.Name, "/")
	}
	out += "/providers/" + types[0]
	for i, word := range types[1:] {
		out += "/" + word
		if i < len(id.Names) {
			out += "/" + id.Names[i]
		}
	}
	return out
}

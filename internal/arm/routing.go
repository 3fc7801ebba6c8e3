package arm

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// route is a Route whose pattern is taken apart.
type route struct {
	Route
	segs []string
	rest bool // the first is {name...}
}

func isParam(seg string) bool { return strings.HasPrefix(seg, "{") && strings.HasSuffix(seg, "}") }
func isRest(seg string) bool  { return strings.HasPrefix(seg, "{") && strings.HasSuffix(seg, "...}") }

func (s *Server) addRoutes(routes []Route) error {
	for _, r := range routes {
		segs := strings.Split(strings.Trim(r.Pattern, "/"), "/")
		for i, seg := range segs {
			if strings.HasPrefix(seg, "{") != strings.HasSuffix(seg, "}") || seg == "" && len(segs) > 1 {
				return fmt.Errorf("arm: route %s: %q is neither a word nor a name in braces", r.Pattern, seg)
			}
			if isRest(seg) && i > 0 {
				return fmt.Errorf("arm: route %s: {name...} may only stand first", r.Pattern)
			}
		}
		if r.Serve == nil || r.Method == "" || !strings.HasPrefix(r.Pattern, "/") {
			return fmt.Errorf("arm: route %s %s: needs a method, a pattern that begins with a slash, and Serve", r.Method, r.Pattern)
		}
		s.routes = append(s.routes, route{r, segs, isRest(segs[0])})
	}
	slices.SortStableFunc(s.routes, func(a, b route) int { return b.literals() - a.literals() })
	return nil
}

func (r route) literals() int {
	n := 0
	for _, seg := range r.segs {
		if !isParam(seg) {
			n++
		}
	}
	return n
}

// match fills the pattern's names from a path. {name...} at the start takes what
// is left over, as a scope: "/subscriptions/..", or "" for none.
func (r route) match(segs []string) (map[string]string, bool) {
	pattern, scope := r.segs, []string(nil)
	if r.rest {
		n := len(segs) - (len(pattern) - 1)
		if n < 0 {
			return nil, false
		}
		pattern, scope, segs = pattern[1:], segs[:n], segs[n:]
	}
	if len(pattern) != len(segs) {
		return nil, false
	}
	for i, p := range pattern { // first whether, then what: most routes do not match
		if !isParam(p) && !strings.EqualFold(p, segs[i]) {
			return nil, false
		}
	}
	params := map[string]string{}
	if r.rest {
		name := strings.TrimSuffix(r.segs[0][1:], "...}")
		params[name] = ""
		if len(scope) > 0 {
			params[name] = "/" + strings.Join(scope, "/")
		}
	}
	for i, p := range pattern {
		if isParam(p) {
			params[p[1:len(p)-1]] = segs[i]
		}
	}
	return params, true
}

// findRoute is the most literal route of the path and method. methods are those
// that the path has, for 405.
func (s *Server) findRoute(method string, segs []string) (r route, params map[string]string, methods []string, ok bool) {
	for _, r := range s.routes {
		params, match := r.match(segs)
		if !match {
			continue
		}
		if r.Method == method || r.Method == http.MethodGet && method == http.MethodHead {
			return r, params, nil, true
		}
		methods = append(methods, r.Method)
	}
	return route{}, nil, methods, false
}

// scope is the id that the route's permission is asked on.
func (r route) scope(params map[string]string) string {
	pattern := r.Scope
	if pattern == "" {
		switch {
		case isRest(r.segs[0]):
			pattern = "/" + r.segs[0]
		case strings.Contains(strings.ToLower(r.Pattern), "/subscriptions/{subscription}"):
			pattern = "/subscriptions/{subscription}"
		default:
			return "/"
		}
	}
	var out []string
	for seg := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		switch {
		case isRest(seg):
			seg = strings.Trim(params[strings.TrimSuffix(seg[1:], "...}")], "/")
		case isParam(seg):
			seg = params[seg[1:len(seg)-1]]
		}
		if seg != "" {
			out = append(out, seg)
		}
	}
	return "/" + strings.Join(out, "/")
}

func (s *Server) serveRoute(ctx context.Context, q *request, r route, params map[string]string) (*Response, error) {
	if r.Permission != "" {
		if err := s.authorize(ctx, q.principal, r.Permission, r.scope(params)); err != nil {
			return nil, err
		}
	}
	body, err := q.body(false)
	if err != nil {
		return nil, err
	}
	resp, err := r.Serve(ctx, &RouteRequest{
		Principal: q.principal, Params: params, Query: q.query, Body: body, Text: q.text, Read: s.read,
		Can: func(ctx context.Context, action, scope string) bool {
			return s.authorize(ctx, q.principal, action, scope) == nil
		},
	})
	if resp == nil && err == nil {
		resp = &Response{Status: http.StatusNoContent}
	}
	return resp, err
}

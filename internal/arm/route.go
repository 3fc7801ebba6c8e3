package arm

import "context"

// Route is an operation that belongs to no stored resource's life: subscriptions,
// locations, provider registration, features, versions of Kubernetes.
type Route struct {
	Method string
	// Pattern is a path whose literal segments match in any case, {name} matches one segment:
	// "/subscriptions/{subscription}/providers/{namespace}/register".
	Pattern string
	// Permission is the operation that the caller needs on the scope; empty: any signed-in principal
	// (Serve then shows only what the principal may see).
	Permission string
	Scope      string // pattern of the scope, with the same names; empty: "/subscriptions/{subscription}" if the pattern has it, else "/"
	Serve      func(ctx context.Context, r *RouteRequest) (*Response, error)
}

// RouteRequest is one call of a route.
type RouteRequest struct {
	Principal Principal
	Params    map[string]string // by the names in the pattern, decoded, as the client wrote them
	Query     map[string]string // keys in lower case
	Body      map[string]any
	Text      []byte // of the body
	Read      *Resources
	Can       func(ctx context.Context, action, scope string) bool
}

// Response is what a route answers. Status 0 is 200; a nil Body sends none.
type Response struct {
	Status  int
	Headers map[string]string
	Body    any
}

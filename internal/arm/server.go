package arm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// Options are what a Server is made of.
type Options struct {
	Store         store.Store
	Types         []*Type
	Routes        []Route
	Authenticator Authenticator
	Authorizer    Authorizer
	BaseURL       string // https://host:port, as clients reach it: links in answers begin with it
	TenantID      string // named in the WWW-Authenticate header of a 401
	Locations     []string
	// HasSubscription tells whether there is such a subscription (any case); nil: there is.
	HasSubscription func(ctx context.Context, id string) (bool, error)
	// Room tells whether so many bytes more fit on the disk, with an *Error if not; nil: they do. It is asked about new
	// resources and about what takes space; reads and deletes go on.
	Room   func(ctx context.Context, space int64) error
	Logger *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Server answers ARM requests about resources of its types.
type Server struct {
	Options
	read       *Resources
	types      map[string]*Type  // by name in lower case
	namespaces map[string]string // as written, by lower case
	routes     []route
	turns      chan struct{} // holds the one turn of those that were in each other's way
}

// groupType is the type of ids without a namespace, see resourceid.ID.Type; groupKey is its key in types.
const (
	groupType = "Microsoft.Resources/resourceGroups"
	groupKey  = "microsoft.resources/resourcegroups"
)

// NewServer checks the options and makes a server. Types and routes can be added later, see Add.
func NewServer(o Options) (*Server, error) {
	if o.Store == nil || o.Authenticator == nil || o.Authorizer == nil || o.BaseURL == "" {
		return nil, errors.New("arm: a server needs Store, Authenticator, Authorizer and BaseURL")
	}
	o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{Options: o, read: &Resources{Store: o.Store}, types: map[string]*Type{}, namespaces: map[string]string{}, turns: make(chan struct{}, 1)}
	if err := s.Add(o.Types, o.Routes); err != nil {
		return nil, err
	}
	return s, nil
}

// Add adds types and routes: for providers that need the server themselves, to
// write resources of other types. It must be called before Handler and Reconcilers are used.
func (s *Server) Add(types []*Type, routes []Route) error {
	for _, t := range types {
		namespace, rest, ok := strings.Cut(t.Name, "/")
		key := strings.ToLower(t.Name)
		switch {
		case !ok || namespace == "" || rest == "":
			return fmt.Errorf("arm: %q is no resource type", t.Name)
		case s.types[key] != nil:
			return fmt.Errorf("arm: type %s is there twice", t.Name)
		}
		for name := range t.Actions {
			if name != strings.ToLower(name) {
				return fmt.Errorf("arm: action %s of %s is not in lower case", name, t.Name)
			}
		}
		s.types[key] = t
		s.namespaces[strings.ToLower(namespace)] = namespace
	}
	return s.addRoutes(routes)
}

// Resources reads what is stored.
func (s *Server) Resources() *Resources { return s.read }

// TypeNames lists the resource types of a namespace (any case), in Azure's case, sorted.
func (s *Server) TypeNames(namespace string) []string {
	var out []string
	for key, t := range s.types {
		if strings.HasPrefix(key, strings.ToLower(namespace)+"/") {
			out = append(out, t.Name)
		}
	}
	return sorted(out)
}

// Types lists all resource types, by name.
func (s *Server) Types() []*Type {
	return slices.SortedFunc(maps.Values(s.types), func(a, b *Type) int { return strings.Compare(a.Name, b.Name) })
}

func (s *Server) typeOf(id resourceid.ID) *Type { return s.types[strings.ToLower(id.Type())] }

// typeNamed is the type, or a bare one of that name for documents whose type is no longer there.
func (s *Server) typeNamed(name string) *Type {
	if t := s.types[strings.ToLower(name)]; t != nil {
		return t
	}
	return &Type{Name: name}
}

// authorize is nil when p may do the action on the scope.
func (s *Server) authorize(ctx context.Context, p Principal, action, scope string) error {
	if p.System {
		return nil
	}
	// Roles know groups by another name than their type's:
	// https://learn.microsoft.com/azure/role-based-access-control/permissions/management-and-governance#microsoftresources
	if operation, ok := strings.CutPrefix(action, groupType+"/"); ok {
		action = "Microsoft.Resources/subscriptions/resourceGroups/" + operation
	}
	return s.Authorizer.Authorize(ctx, p, action, scope)
}

// Package providers answers which resource providers there are, and which of
// them a subscription has registered.
// https://learn.microsoft.com/rest/api/resources/providers
package providers

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/store"
)

// prefix is where registrations are stored: <subscription>/<namespace>, lower case.
const prefix = "/registration/"

// States of a registration.
const (
	registered    = "Registered"
	notRegistered = "NotRegistered"
)

// registration is what a subscription decided about a namespace.
type registration struct {
	Namespace string `json:"namespace"` // as written
	State     string `json:"state"`
}

type providers struct {
	store   store.Store
	regions []string
	types   func() []*arm.Type
}

// Routes lists the operations. types lists the types of all providers.
func Routes(s store.Store, regions []string, types func() []*arm.Type) []arm.Route {
	p := providers{s, regions, types}
	const base, read = "/subscriptions/{subscription}/providers", "Microsoft.Resources/subscriptions/providers/read"
	return []arm.Route{
		{Method: "GET", Pattern: "/providers", Serve: p.list},
		{Method: "GET", Pattern: "/providers/{namespace}", Serve: p.show},
		{Method: "GET", Pattern: base, Permission: read, Serve: p.list},
		{Method: "GET", Pattern: base + "/{namespace}", Permission: read, Serve: p.show},
		{Method: "POST", Pattern: base + "/{namespace}/register", Serve: p.change(registered)},
		{Method: "POST", Pattern: base + "/{namespace}/unregister", Serve: p.change(notRegistered)},
	}
}

// free are namespaces that need no registration.
var free = []string{"Microsoft.Authorization", "Microsoft.Features", "Microsoft.Resources"}

var namespaceRule = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,63}(\.[A-Za-z0-9]{1,64}){1,5}$`)

// catalogue maps namespaces in lower case to their names and types.
func (p providers) catalogue() map[string]*entry {
	out := map[string]*entry{}
	for _, n := range free {
		out[strings.ToLower(n)] = &entry{name: n}
	}
	for _, t := range p.types() {
		namespace, _, _ := strings.Cut(t.Name, "/")
		e := out[strings.ToLower(namespace)]
		if e == nil {
			e = &entry{name: namespace}
			out[strings.ToLower(namespace)] = e
		}
		e.types = append(e.types, t)
	}
	return out
}

type entry struct {
	name  string
	types []*arm.Type
}

func (p providers) list(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	known := p.catalogue()
	states, err := p.states(ctx, r.Params["subscription"])
	if err != nil {
		return nil, err
	}
	for key, s := range states {
		if known[key] == nil {
			known[key] = &entry{name: s.Namespace}
		}
	}
	value := []any{}
	keys := make([]string, 0, len(known))
	for key := range known {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		value = append(value, p.document(r.Params["subscription"], known[key], states[key]))
	}
	return &arm.Response{Body: map[string]any{"value": value}}, nil
}

func (p providers) show(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	e, key, err := p.find(r)
	if err != nil {
		return nil, err
	}
	states, err := p.states(ctx, r.Params["subscription"])
	if err != nil {
		return nil, err
	}
	return &arm.Response{Body: p.document(r.Params["subscription"], e, states[key])}, nil
}

// find is the namespace of a request; one that Cloister does not have is an empty one.
func (p providers) find(r *arm.RouteRequest) (*entry, string, error) {
	name := r.Params["namespace"]
	if !namespaceRule.MatchString(name) {
		return nil, "", arm.NotFound("InvalidResourceNamespace", "The resource namespace '%.80s' is invalid. It looks like Microsoft.Network.", name)
	}
	key := strings.ToLower(name)
	if e := p.catalogue()[key]; e != nil {
		return e, key, nil
	}
	return &entry{name: name}, key, nil
}

// states reads a subscription's registrations, by namespace in lower case.
func (p providers) states(ctx context.Context, subscription string) (map[string]registration, error) {
	out := map[string]registration{}
	if subscription == "" {
		return out, nil
	}
	docs, _, err := p.store.List(ctx, prefix+strings.ToLower(subscription)+"/")
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		var s registration
		if err := json.Unmarshal(d.Value, &s); err != nil {
			return nil, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		out[d.Key[strings.LastIndexByte(d.Key, '/')+1:]] = s
	}
	return out, nil
}

// change registers a namespace, or takes that back. Unknown namespaces may be registered: scripts
// do so for providers that they do not use here.
func (p providers) change(state string) func(context.Context, *arm.RouteRequest) (*arm.Response, error) {
	return func(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
		e, key, err := p.find(r)
		if err != nil {
			return nil, err
		}
		sub := r.Params["subscription"]
		verb := "register"
		if state == notRegistered {
			verb = "unregister"
		}
		if action := e.name + "/" + verb + "/action"; !r.Can(ctx, action, "/subscriptions/"+sub) {
			return nil, arm.Errorf(403, "AuthorizationFailed", "The client '%s' does not have authorization to perform action '%s' over scope '/subscriptions/%s'.", r.Principal.ObjectID, action, sub)
		}
		if state == notRegistered {
			if err := p.unused(ctx, r, e); err != nil {
				return nil, err
			}
		}
		s := registration{e.name, state}
		if _, err := p.store.Commit(ctx, (&store.Tx{}).Put(prefix+strings.ToLower(sub)+"/"+key, s)); err != nil {
			return nil, err
		}
		return &arm.Response{Body: p.document(sub, e, s)}, nil
	}
}

// unused refuses to take a registration back while there are resources of the namespace.
func (p providers) unused(ctx context.Context, r *arm.RouteRequest, e *entry) error {
	if slices.Contains(free, e.name) {
		return arm.Conflict("CannotUnregisterRegistrationFreeResourceProvider", "The resource provider '%s' needs no registration, and none can be taken back.", e.name)
	}
	all, err := r.Read.Below(ctx, "/subscriptions/"+r.Params["subscription"], "")
	if err != nil {
		return err
	}
	for _, res := range all {
		if strings.HasPrefix(strings.ToLower(res.Type), strings.ToLower(e.name)+"/") {
			return arm.Conflict("CannotUnregisterRegisteredSubscription", "Cannot unregister '%s': the subscription has resources of it, for example '%s'. Delete them first.", e.name, res.ID)
		}
	}
	return nil
}

func (p providers) document(subscription string, e *entry, s registration) map[string]any {
	base := ""
	if subscription != "" {
		base = "/subscriptions/" + subscription
	}
	policy, state := "RegistrationRequired", s.State
	switch {
	case slices.Contains(free, e.name):
		policy, state = "RegistrationFree", registered
	case state == "" && len(e.types) > 0:
		state = registered // everything that Cloister has is ready to use
	case state == "":
		state = notRegistered
	}
	doc := map[string]any{"namespace": e.name, "registrationPolicy": policy, "resourceTypes": p.resourceTypes(e)}
	if subscription != "" {
		doc["id"], doc["registrationState"] = base+"/providers/"+e.name, state
	}
	return doc
}

// resourceTypes lists the types of a namespace with the regions' display names, as Azure does.
func (p providers) resourceTypes(e *entry) []any {
	out := []any{}
	for _, t := range e.types {
		_, name, _ := strings.Cut(t.Name, "/")
		locations := []any{}
		if t.Global {
			locations = append(locations, "global")
		} else {
			for _, r := range p.regions {
				locations = append(locations, identity.RegionName(r))
			}
		}
		capabilities := "None"
		if t.Tracked {
			capabilities = "SupportsTags, SupportsLocation"
		}
		versions := t.APIVersions
		if len(versions) == 0 {
			versions = []string{"2024-01-01"}
		}
		out = append(out, map[string]any{"resourceType": name, "locations": locations, "apiVersions": versions, "defaultApiVersion": versions[0], "capabilities": capabilities})
	}
	return out
}

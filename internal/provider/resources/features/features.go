// Package features is Microsoft.Features: previews that a subscription signs up for. In
// Cloister nothing depends on them; scripts register them before they go on.
// https://learn.microsoft.com/rest/api/resources/features
package features

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/store"
)

// prefix is where features are stored: <subscription>/<namespace>/<feature>, lower case.
const prefix = "/feature/"

// settling is how long a feature is Registering, or Unregistering: clients wait for the change.
const settling = 2 * time.Second

// feature is what a subscription decided about a feature.
type feature struct {
	Name       string    `json:"name"` // Microsoft.ContainerService/AKSPrivateLinkPreview, as first written
	Registered bool      `json:"registered"`
	Changed    time.Time `json:"changed,omitzero"`
}

func (f feature) state(now time.Time) string {
	busy := now.Sub(f.Changed) < settling
	switch {
	case f.Registered && busy:
		return "Registering"
	case f.Registered:
		return "Registered"
	case busy:
		return "Unregistering"
	case f.Changed.IsZero():
		return "NotRegistered"
	}
	return "Unregistered"
}

// known are features that a subscription sees before it asks for one.
var known = []string{
	"Microsoft.ContainerService/AKSPrivateLinkPreview", "Microsoft.ContainerService/EnableAPIServerVnetIntegrationPreview",
	"Microsoft.ContainerService/EnablePrivateClusterPublicFQDN", "Microsoft.ContainerService/EnablePrivateClusterSubZone", "Microsoft.Network/AllowPrivateEndpointNSG",
}

type features struct {
	store store.Store
	now   func() time.Time
}

// Routes lists the operations.
func Routes(s store.Store) []arm.Route {
	f := features{s, time.Now}
	const (
		base = "/subscriptions/{subscription}/providers/Microsoft.Features"
		one  = base + "/providers/{namespace}/features/{feature}"
	)
	return []arm.Route{
		{Method: "GET", Pattern: base + "/features", Permission: "Microsoft.Features/features/read", Serve: f.list},
		{Method: "GET", Pattern: base + "/providers/{namespace}/features", Permission: "Microsoft.Features/providers/features/read", Serve: f.list},
		{Method: "GET", Pattern: one, Permission: "Microsoft.Features/providers/features/read", Serve: f.show},
		{Method: "POST", Pattern: one + "/register", Permission: "Microsoft.Features/providers/features/register/action", Serve: f.change(true)},
		{Method: "POST", Pattern: one + "/unregister", Permission: "Microsoft.Features/providers/features/unregister/action", Serve: f.change(false)},
	}
}

var (
	namespaceRule = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,63}(\.[A-Za-z0-9]{1,64}){1,5}$`)
	nameRule      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// all are the known features and those that the subscription asked for, by name in lower case.
func (f features) all(ctx context.Context, subscription string) (map[string]feature, error) {
	out := map[string]feature{}
	for _, n := range known {
		out[strings.ToLower(n)] = feature{Name: n}
	}
	docs, _, err := f.store.List(ctx, prefix+strings.ToLower(subscription)+"/")
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		var v feature
		if err := json.Unmarshal(d.Value, &v); err != nil {
			return nil, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		out[strings.ToLower(v.Name)] = v
	}
	return out, nil
}

func (f features) list(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	all, err := f.all(ctx, r.Params["subscription"])
	if err != nil {
		return nil, err
	}
	keys := []string{}
	for key := range all {
		if ns := strings.ToLower(r.Params["namespace"]); ns == "" || strings.HasPrefix(key, ns+"/") {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	value := []any{}
	for _, key := range keys {
		value = append(value, f.document(r.Params["subscription"], all[key]))
	}
	return &arm.Response{Body: map[string]any{"value": value}}, nil
}

// find is the feature of a request. Azure knows which features exist; Cloister takes every name that could be one.
func (f features) find(ctx context.Context, r *arm.RouteRequest) (feature, string, int64, error) {
	ns, name := r.Params["namespace"], r.Params["feature"]
	if !namespaceRule.MatchString(ns) || !nameRule.MatchString(name) {
		return feature{}, "", 0, arm.NotFound("FeatureNotFound", "The feature '%.100s/%.100s' could not be found. A feature is named like Microsoft.ContainerService/AKSPrivateLinkPreview.", ns, name)
	}
	full := ns + "/" + name
	for _, k := range known {
		if strings.EqualFold(k, full) {
			full = k
		}
	}
	key := prefix + strings.ToLower(r.Params["subscription"]+"/"+full)
	v := feature{Name: full}
	rev, err := f.store.Get(ctx, key, &v)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return v, key, rev, err
}

func (f features) show(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	v, _, _, err := f.find(ctx, r)
	if err != nil {
		return nil, err
	}
	return &arm.Response{Body: f.document(r.Params["subscription"], v)}, nil
}

func (f features) change(register bool) func(context.Context, *arm.RouteRequest) (*arm.Response, error) {
	return func(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
		v, key, rev, err := f.find(ctx, r)
		if err != nil {
			return nil, err
		}
		if v.Registered != register {
			v.Registered, v.Changed = register, f.now().UTC()
			_, err := f.store.Commit(ctx, (&store.Tx{}).Update(key, rev, v))
			if errors.Is(err, store.ErrConflict) {
				return nil, arm.Conflict("RequestConflict", "The feature '%s' was changed at the same time by another request. Send the request again.", v.Name)
			}
			if err != nil {
				return nil, err
			}
		}
		return &arm.Response{Body: f.document(r.Params["subscription"], v)}, nil
	}
}

func (f features) document(subscription string, v feature) map[string]any {
	ns, name, _ := strings.Cut(v.Name, "/")
	return map[string]any{
		"id":   "/subscriptions/" + subscription + "/providers/Microsoft.Features/providers/" + ns + "/features/" + name,
		"name": v.Name, "type": "Microsoft.Features/providers/features", "properties": map[string]any{"state": v.state(f.now())},
	}
}

package template

import (
	"strings"
)

// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-resource
var resourceFunctions = map[string]function{
	"resourceId": {min: 2, max: -1, do: func(e *env, a args) (any, error) { return resourceID(e, a) }},
	"subscriptionResourceId": {min: 2, max: -1, do: func(e *env, a args) (any, error) {
		sub, rest := e.subscription(), a.all
		if !strings.Contains(a.str(0), "/") {
			sub, rest = "/subscriptions/"+a.str(0), a.all[1:]
		}
		return typed(a, sub, rest)
	}},
	"tenantResourceId":          {min: 2, max: -1, do: func(_ *env, a args) (any, error) { return typed(a, "", a.all) }},
	"extensionResourceId":       {min: 3, max: -1, do: func(_ *env, a args) (any, error) { return typed(a, strings.TrimSuffix(a.str(0), "/"), a.all[1:]) }},
	"managementGroupResourceId": {min: 2, max: -1, do: func(*env, args) (any, error) { return nil, failed("there are no management groups in Cloister") }},
	"reference":                 {min: 1, max: 3, do: reference},
	"references":                {min: 1, max: 2, do: references},
	"pickZones": {min: 3, max: 5, do: func(_ *env, a args) (any, error) {
		n := int64(1)
		if a.len() > 3 {
			n = a.num(3)
		}
		out := []any{}
		for _, z := range []string{"1", "2", "3"}[:min(max(n, 0), 3)] {
			out = append(out, z)
		}
		return out, nil
	}},
}

func (e *env) subscription() string {
	segs := strings.Split(e.t.context.Scope, "/")
	if len(segs) >= 3 && strings.EqualFold(segs[1], "subscriptions") {
		return strings.Join(segs[:3], "/")
	}
	return ""
}

// resourceID is resourceId([subscription], [group], type, names..).
func resourceID(e *env, a args) (any, error) {
	first := 0
	for first < a.len() && !strings.Contains(a.str(first), "/") {
		first++
	}
	scope := e.t.context.Scope
	switch {
	case first == 1 && strings.Count(scope, "/") >= 2:
		scope = e.subscription() + "/resourceGroups/" + a.str(0)
	case first == 2:
		scope = "/subscriptions/" + a.str(0) + "/resourceGroups/" + a.str(1)
	case first > 0:
		a.fail("before the type (Namespace/type) stand at most a subscription and a group")
		return nil, nil
	}
	return typed(a, scope, a.all[first:])
}

// typed is scope + /providers/ + the type's words and the names in turns.
func typed(a args, scope string, rest []any) (any, error) {
	if len(rest) == 0 {
		a.fail("the type (Namespace/type) is missing")
		return nil, nil
	}
	typ, _ := rest[0].(string)
	words := strings.Split(typ, "/")
	var names []string
	for _, v := range rest[1:] {
		s, ok := v.(string)
		if !ok {
			a.fail("the names must be strings, not %s", kind(v))
			return nil, nil
		}
		names = append(names, strings.Split(s, "/")...)
	}
	if len(words) < 2 || len(names) != len(words)-1 {
		a.fail("the type '%s' takes %d names, not %d", typ, max(len(words)-1, 0), len(names))
		return nil, nil
	}
	return compose(scope, words, names), nil
}

func compose(scope string, words, names []string) string {
	if len(names) == 1 && strings.EqualFold(strings.Join(words, "/"), "Microsoft.Resources/resourceGroups") && strings.Count(scope, "/") == 2 {
		return scope + "/resourceGroups/" + names[0]
	}
	id := strings.TrimSuffix(scope, "/") + "/providers/" + words[0]
	for i, w := range words[1:] {
		id += "/" + w + "/" + names[i]
	}
	return id
}

// reference is a resource's properties while the deployment runs, by its id, name or symbolic name.
func reference(e *env, a args) (any, error) {
	full := false
	if a.len() > 2 {
		if full = strings.EqualFold(a.str(2), "Full"); !full {
			a.fail("argument 3 may only be 'Full'")
			return nil, nil
		}
	}
	if e.rt == nil {
		return nil, errRuntime
	}
	id, version, err := e.t.target(a.str(0))
	if err != nil {
		return nil, err
	}
	if v := a.strOr(1, ""); v != "" {
		version = v
	}
	v, err := e.rt.Reference(e, id, version, full)
	return whole(v), err
}

// references is reference for each resource of a copy loop with this symbolic name.
func references(e *env, a args) (any, error) {
	if e.rt == nil {
		return nil, errRuntime
	}
	out := []any{}
	for _, r := range e.t.loop(a.str(0)) {
		v, err := e.rt.Reference(e, r.ID, r.APIVersion, a.len() > 1)
		if err != nil {
			return nil, err
		}
		out = append(out, whole(v))
	}
	return out, nil
}

// listCall is one of the functions listKeys, listSecrets..: a POST on a resource.
func (e *env) listCall(name string, a args) (any, error) {
	if e.rt == nil {
		return nil, errRuntime
	}
	id, version, err := e.t.target(a.str(0))
	if err != nil {
		return nil, err
	}
	if v := a.strOr(1, ""); v != "" {
		version = v
	}
	var body any
	if a.len() > 2 {
		body = a.all[2]
	}
	v, err := e.rt.List(e, name, id, version, body)
	return whole(v), err
}

// Package template is the language of ARM templates: what a template and its parameters stand for, as a list of resources
// with their order. It knows no resource type and reads no store: what only a running deployment knows comes from a Runtime.
// https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax
package template

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// Context is what the functions of a deployment's surroundings answer. A nil map: not at this scope.
type Context struct {
	Scope         string // id of what is deployed to: a group, a subscription, or "" for the tenant
	Subscription  map[string]any
	ResourceGroup map[string]any
	Tenant        map[string]any
	Deployment    map[string]any
	Deployer      map[string]any
	Environment   map[string]any
	Now           time.Time
}

// Template is a template with its parameters' values.
type Template struct {
	context    Context
	doc        map[string]any
	symbolic   bool // languageVersion 2.0: resources are an object
	declared   map[string]parameter
	values     map[string]any // of parameters, by name in lower case
	variables  map[string]any // as written
	functions  map[string]userFunction
	inDefaults bool // while default values are evaluated

	cache     map[string]any // variables that were evaluated
	under     map[string]bool
	asts      map[string]*node
	budget    int
	Resources []*Resource // see Plan
	outer     *Outer
}

type userFunction struct {
	params []parameter
	output any
	path   []any
}

// The most of each that a template may have: https://learn.microsoft.com/azure/azure-resource-manager/templates/best-practices#template-limits
const (
	maxParameters = 256
	maxVariables  = 512
	maxOutputs    = 64
)

// New reads a template, gives its parameters their values ({"name": {"value": ..}}), and checks both. All that is wrong is a *Error.
func New(ctx context.Context, doc, parameters map[string]any, c Context, outer *Outer) (*Template, error) {
	t := &Template{context: c, doc: doc, outer: outer, budget: maxSteps, declared: map[string]parameter{}, values: map[string]any{}, cache: map[string]any{}, under: map[string]bool{}, asts: map[string]*node{}}
	if err := t.shape(); err != nil {
		return nil, err
	}
	if err := t.readFunctions(); err != nil {
		return nil, err
	}
	if err := t.readVariables(); err != nil {
		return nil, err
	}
	return t, t.readParameters(ctx, parameters)
}

var members = []string{"$schema", "contentVersion", "languageVersion", "apiProfile", "definitions", "metadata", "parameters", "functions", "variables", "resources", "outputs", "imports", "extensions"}

// shape checks the members of the template itself.
func (t *Template) shape() error {
	for _, name := range slices.Sorted(maps.Keys(t.doc)) {
		if !slices.ContainsFunc(members, func(m string) bool { return strings.EqualFold(m, name) }) {
			return in(failed("a template has no member '%s'. It has: %s", name, strings.Join(members, ", ")), name)
		}
	}
	schema, _ := field(t.doc, "$schema").(string)
	if !strings.Contains(strings.ToLower(schema), "deploymenttemplate.json") {
		return in(failed("'$schema' must name a schema of deployment templates: https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"), "$schema")
	}
	if s, ok := field(t.doc, "contentVersion").(string); !ok || s == "" {
		return in(failed("'contentVersion' is missing: write \"1.0.0.0\""), "contentVersion")
	}
	switch v := field(t.doc, "languageVersion"); v {
	case nil, "1.0":
	case "2.0", "1.9-experimental", "1.10-experimental", "2.1-experimental", "2.2-experimental":
	default:
		return in(failed("the language version %s is not known: there are 1.0 and 2.0", show(v)), "languageVersion")
	}
	for _, name := range []string{"parameters", "variables", "outputs"} {
		if v := field(t.doc, name); v != nil {
			if _, ok := v.(map[string]any); !ok {
				return in(failed("'%s' must be an object, not %s", name, kind(whole(v))), name)
			}
		}
	}
	switch r := field(t.doc, "resources").(type) {
	case []any:
	case map[string]any:
		t.symbolic = true
	default:
		return in(failed("'resources' must be an array, not %s", kind(whole(r))), "resources")
	}
	if n := len(t.section("outputs")); n > maxOutputs {
		return in(failed("the template has %d outputs: at most %d are allowed", n, maxOutputs), "outputs")
	}
	return nil
}

func (t *Template) section(name string) map[string]any {
	m, _ := field(t.doc, name).(map[string]any)
	return m
}

func (t *Template) env(ctx context.Context, rt Runtime) *env {
	return &env{Context: ctx, t: t, rt: rt, budget: &t.budget}
}

func (t *Template) parsed(s string) (*node, error) {
	if n, ok := t.asts[s]; ok {
		return n, nil
	}
	n, err := parse(s)
	if err == nil {
		t.asts[s] = n
	}
	return n, err
}

// readFunctions takes the template's own functions.
func (t *Template) readFunctions() error {
	t.functions = map[string]userFunction{}
	spaces, _ := field(t.doc, "functions").([]any)
	for i, s := range spaces {
		m, _ := s.(map[string]any)
		space, _ := field(m, "namespace").(string)
		list, ok := field(m, "members").(map[string]any)
		if space == "" || !ok {
			return in(failed("a group of functions needs 'namespace' and 'members'"), "functions", i)
		}
		for name, f := range list {
			path := []any{"functions", i, "members", name}
			def, _ := f.(map[string]any)
			output, ok := field(def, "output").(map[string]any)
			if !ok {
				return in(failed("a function needs 'output' with 'type' and 'value'"), path...)
			}
			u := userFunction{output: field(output, "value"), path: at(path, "output", "value")}
			params, _ := field(def, "parameters").([]any)
			for n, p := range params {
				one, err := t.declare(p, at(path, "parameters", n))
				if err != nil {
					return err
				}
				u.params = append(u.params, one)
			}
			t.functions[strings.ToLower(space+"."+name)] = u
		}
	}
	return nil
}

// readVariables takes the variables; the elements of their copy are variables themselves.
func (t *Template) readVariables() error {
	all := t.section("variables")
	if len(all) > maxVariables {
		return in(failed("the template has %d variables: at most %d are allowed", len(all), maxVariables), "variables")
	}
	t.variables = map[string]any{}
	for name, v := range all {
		loops, ok := v.([]any)
		if !ok || !strings.EqualFold(name, "copy") || !areLoops(loops) {
			t.variables[strings.ToLower(name)] = variable{v, []any{"variables", name}}
			continue
		}
		for i, l := range loops {
			loop := l.(map[string]any)
			loopName, ok := field(loop, "name").(string)
			if !ok {
				return in(failed("'name' of a copy element must be a text"), "variables", name, i)
			}
			t.variables[strings.ToLower(loopName)] = variable{map[string]any{"copy": []any{loop}}, []any{"variables", name, i}}
		}
	}
	return nil
}

type variable struct {
	raw  any
	path []any
}

// variable evaluates one when it is first asked for.
func (t *Template) variable(e *env, name string) (any, error) {
	key := strings.ToLower(name)
	if v, ok := t.cache[key]; ok {
		return v, nil
	}
	raw, ok := t.variables[key].(variable)
	if !ok {
		if t.outer != nil {
			if v, ok := lookup(t.outer.Variables, name); ok {
				return whole(v), nil
			}
		}
		return nil, failed("the template has no variable '%s'", name)
	}
	if t.under[key] {
		return nil, failed("the variable '%s' depends on itself", name)
	}
	t.under[key] = true
	defer delete(t.under, key)
	inner := t.env(e.Context, nil)
	v, err := inner.value(raw.raw, raw.path...)
	if err != nil {
		return nil, err
	}
	if loops, ok := raw.raw.(map[string]any); ok && len(raw.path) == 3 { // an element of copy
		m, _ := v.(map[string]any)
		v = m[field(loops["copy"].([]any)[0].(map[string]any), "name").(string)]
	}
	t.cache[key] = v
	return v, nil
}

package template

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// reserved are members of a resource that say how it is deployed; the others are its body.
var reserved = []string{"type", "name", "apiVersion", "dependsOn", "condition", "copy", "comments", "scope", "resources", "existing", "resourceGroup", "subscriptionId", "import", "metadata", "asserts"}

// Outer is what a nested template sees of the one around it, when its expressions are evaluated in that one's scope.
type Outer struct {
	Parameters map[string]any    `json:"parameters,omitempty"`
	Variables  map[string]any    `json:"variables,omitempty"`
	Copies     map[string]int    `json:"copies,omitempty"`
	Copy       string            `json:"copy,omitempty"`
	Names      map[string]string `json:"names,omitempty"` // ids of the resources around, by name in lower case
}

// NeedsRuntime tells whether err says that only a running deployment can know.
func NeedsRuntime(err error) bool { return errors.Is(err, errRuntime) }

// Body evaluates a resource's document. rt may be nil: see NeedsRuntime. A nested deployment's template stays as it is;
// outer is what it needs of this one, nil if it is evaluated in a scope of its own.
func (t *Template) Body(ctx context.Context, r *Resource, rt Runtime) (body map[string]any, outer *Outer, err error) {
	e := *r.env
	e.Context, e.rt = ctx, rt
	raw := map[string]any{}
	for name, v := range r.raw {
		if !slices.ContainsFunc(reserved, func(m string) bool { return strings.EqualFold(m, name) }) {
			raw[name] = v
		}
	}
	var nested any
	if r.nesting {
		for name, v := range raw {
			if strings.EqualFold(name, "properties") {
				nested = field(v.(map[string]any), "template")
				raw[name] = withoutTemplate(v)
			}
		}
	}
	v, err := e.value(raw, r.Path...)
	if err != nil {
		return nil, nil, err
	}
	body, _ = v.(map[string]any)
	if !r.nesting {
		return body, nil, nil
	}
	properties, ok := field(body, "properties").(map[string]any)
	if !ok {
		return nil, nil, in(failed("'properties' must be an object"), at(r.Path, "properties")...)
	}
	properties["template"] = nested
	options, _ := field(properties, "expressionEvaluationOptions").(map[string]any)
	if strings.EqualFold(text(field(options, "scope")), "inner") {
		return body, nil, nil
	}
	return body, t.seenInside(&e), nil
}

// seenInside is what a nested template of the outer scope sees.
func (t *Template) seenInside(e *env) *Outer {
	o := &Outer{Parameters: map[string]any{}, Variables: map[string]any{}, Copies: e.copies, Copy: e.copy, Names: map[string]string{}}
	if t.outer != nil {
		for name, v := range t.outer.Parameters {
			o.Parameters[name] = v
		}
		for name, v := range t.outer.Variables {
			o.Variables[name] = v
		}
	}
	for name, v := range t.values {
		o.Parameters[name] = v
	}
	for name := range t.variables {
		if v, err := t.variable(e, name); err == nil { // one that fails is not used: where it is, it fails there
			o.Variables[name] = v
		}
	}
	for _, r := range t.Resources {
		o.Names[strings.ToLower(r.Name)] = r.ID
		if r.Symbol != "" {
			o.Names[strings.ToLower(r.Symbol)] = r.ID
		}
	}
	return o
}

// Output is one that a deployment gives.
type Output struct {
	Type  string
	Value any // nil of a secure one
}

// Outputs evaluates the outputs whose condition holds.
func (t *Template) Outputs(ctx context.Context, rt Runtime) (map[string]Output, error) {
	out := map[string]Output{}
	for name, v := range t.section("outputs") {
		path := []any{"outputs", name}
		def, ok := v.(map[string]any)
		if !ok {
			return nil, in(failed("an output must be an object with 'type' and 'value'"), path...)
		}
		p, err := t.declare(def, path)
		if err != nil {
			return nil, err
		}
		e := t.env(ctx, rt)
		if cond, ok := lookup(def, "condition"); ok {
			v, err := e.value(cond, at(path, "condition")...)
			if err != nil {
				return nil, err
			}
			if v != true {
				continue
			}
		}
		value, err := e.output(def, path)
		if err != nil {
			return nil, err
		}
		if err := checkType(p.typ, value); err != nil && (value != nil || field(p.def, "nullable") != true) {
			return nil, in(failed("the output '%s': %s", name, err.Error()), path...)
		}
		if p.secure() {
			value = nil
		}
		out[name] = Output{typeName(p.typ), value}
	}
	return out, nil
}

func (e *env) output(def map[string]any, path []any) (any, error) {
	loop, ok := field(def, "copy").(map[string]any)
	if !ok {
		return e.value(field(def, "value"), at(path, "value")...)
	}
	count, err := e.count(field(loop, "count"), at(path, "copy", "count"))
	if err != nil {
		return nil, err
	}
	out := []any{}
	for i := range count {
		one, err := e.with("", i).value(field(loop, "input"), at(path, "copy", "input")...)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// Check evaluates everything that needs no Runtime, to find mistakes before anything is deployed.
func (t *Template) Check(ctx context.Context) error {
	for _, r := range t.Resources {
		if r.Skipped || r.Existing {
			continue
		}
		if _, _, err := t.Body(ctx, r, nil); err != nil && !NeedsRuntime(err) {
			return err
		}
	}
	if _, err := t.Outputs(ctx, nil); err != nil && !NeedsRuntime(err) {
		return err
	}
	return nil
}

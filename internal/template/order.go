package template

import (
	"context"
	"slices"
	"strings"
)

// order fills DependsOn: what dependsOn says, what is read with reference and list functions, the resource around, and the
// batch before in a serial loop. It refuses a circle.
func (t *Template) order(ctx context.Context) error {
	for i, r := range t.Resources {
		for n, want := range r.wants {
			found := t.matching(want)
			if len(found) == 0 {
				return in(failed("the resource '%s' depends on '%s', which the template does not have", r.Name, want), at(r.Path, "dependsOn", n)...)
			}
			for _, on := range found {
				r.depend(on, i)
			}
		}
		if r.inside >= 0 && !slices.Contains(t.Resources[r.inside].DependsOn, i) {
			r.depend(r.inside, i)
		}
		if r.batch > 0 && r.index >= r.batch {
			for on, other := range t.Resources {
				if other.loop == r.loop && other.index/r.batch == r.index/r.batch-1 {
					r.depend(on, i)
				}
			}
		}
		for name, v := range r.raw {
			if slices.ContainsFunc(reserved, func(m string) bool { return strings.EqualFold(m, name) }) {
				continue
			}
			if strings.EqualFold(name, "properties") && r.nesting {
				v = withoutTemplate(v)
			}
			t.implied(ctx, r, i, v)
		}
	}
	for i, r := range t.Resources { // a child of a resource of the same template comes after it
		for on, other := range t.Resources {
			if on != i && r.inside < 0 && strings.HasPrefix(strings.ToLower(r.ID), strings.ToLower(other.ID)+"/") && !slices.Contains(other.DependsOn, i) {
				r.depend(on, i)
			}
		}
	}
	for _, r := range t.Resources {
		slices.Sort(r.DependsOn) // found in the order of maps
	}
	return t.acyclic()
}

func (r *Resource) depend(on, self int) {
	if on != self && !slices.Contains(r.DependsOn, on) {
		r.DependsOn = append(r.DependsOn, on)
	}
}

func withoutTemplate(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, e := range m {
		if !strings.EqualFold(k, "template") {
			out[k] = e
		}
	}
	return out
}

// implied adds the resources of the template that a value reads.
func (t *Template) implied(ctx context.Context, r *Resource, self int, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			t.implied(ctx, r, self, k)
			t.implied(ctx, r, self, e)
		}
	case []any:
		for _, e := range v {
			t.implied(ctx, r, self, e)
		}
	case string:
		if !isExpression(v) {
			return
		}
		if n, err := t.parsed(v); err == nil {
			t.impliedIn(r, self, n)
		}
	}
}

func (t *Template) impliedIn(r *Resource, self int, n *node) {
	if n == nil {
		return
	}
	name := strings.ToLower(n.name)
	if n.op == "call" && len(n.args) > 0 && (name == "reference" || name == "references" || strings.HasPrefix(name, "list")) {
		if v, err := r.env.eval(n.args[0]); err == nil {
			if s, ok := v.(string); ok {
				for _, on := range t.matching(s) {
					r.depend(on, self)
				}
			}
		}
	}
	t.impliedIn(r, self, n.of)
	for _, arg := range n.args {
		t.impliedIn(r, self, arg)
	}
}

// matching are the resources that a text names: by id, Namespace/type/name, name, symbolic name or the name of their loop.
func (t *Template) matching(s string) []int {
	var out []int
	id := ""
	if !strings.HasPrefix(s, "/") {
		id, _ = relative(t.context.Scope, s)
	}
	for i, r := range t.Resources {
		symbol, _, _ := strings.Cut(r.Symbol, "[")
		if strings.EqualFold(r.ID, s) || strings.EqualFold(r.ID, id) || strings.EqualFold(r.Type+"/"+r.Name, s) || strings.EqualFold(r.Name, s) ||
			r.Symbol != "" && (strings.EqualFold(r.Symbol, s) || strings.EqualFold(symbol, s)) || r.loop != "" && strings.EqualFold(r.loop, s) {
			out = append(out, i)
		}
	}
	return out
}

// target is the id that reference or a list function means, and the apiVersion the template gives it.
func (t *Template) target(s string) (id, version string, err error) {
	found := t.matching(s)
	switch {
	case len(found) == 1:
		r := t.Resources[found[0]]
		return r.ID, r.APIVersion, nil
	case strings.HasPrefix(s, "/"):
		return s, "", nil
	case len(found) > 1:
		return "", "", failed("'%s' names %d resources of the template: use resourceId()", s, len(found))
	}
	if t.outer != nil {
		if id, ok := t.outer.Names[strings.ToLower(s)]; ok {
			return id, "", nil
		}
	}
	return "", "", failed("the template has no resource '%s'. Give a resource's id (resourceId()), or the name of one that is in the template", s)
}

// loop are the resources of a symbolic name.
func (t *Template) loop(symbol string) []*Resource {
	var out []*Resource
	for _, i := range t.matching(symbol) {
		out = append(out, t.Resources[i])
	}
	return out
}

// acyclic refuses resources that wait for each other.
func (t *Template) acyclic() error {
	const (
		fresh = iota
		open
		done
	)
	state := make([]int, len(t.Resources))
	var trail []int
	var visit func(i int) error
	visit = func(i int) error {
		switch state[i] {
		case done:
			return nil
		case open:
			var names []string
			for _, n := range append(trail[slices.Index(trail, i):], i) {
				names = append(names, t.Resources[n].Type+"/"+t.Resources[n].Name)
			}
			return in(failed("these resources depend on each other in a circle: %s", strings.Join(names, " -> ")), t.Resources[i].Path...)
		}
		state[i] = open
		trail = append(trail, i)
		for _, on := range t.Resources[i].DependsOn {
			if err := visit(on); err != nil {
				return err
			}
		}
		trail = trail[:len(trail)-1]
		state[i] = done
		return nil
	}
	for i := range t.Resources {
		if err := visit(i); err != nil {
			return err
		}
	}
	return nil
}

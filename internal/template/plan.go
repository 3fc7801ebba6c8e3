package template

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Resource is one resource that a template wants, after its loops and its condition.
type Resource struct {
	ID         string
	Type       string
	Name       string // with slashes, as many names as the type has
	APIVersion string
	Symbol     string // symbolic name, with the index where it is one of a loop; empty before languageVersion 2.0
	Skipped    bool   // its condition is false
	Existing   bool   // it is only read
	DependsOn  []int  // indexes in Template.Resources
	Path       []any

	raw     map[string]any
	env     *env
	loop    string // name of its copy loop
	index   int
	batch   int
	wants   []string // dependsOn, evaluated
	inside  int      // index of the resource that it stands in, or -1
	nesting bool     // a deployment with a template
}

// Plan makes the list of resources, with each one after what it depends on.
func (t *Template) Plan(ctx context.Context) error {
	t.Resources = nil
	if list, ok := field(t.doc, "resources").([]any); ok {
		for i, r := range list {
			if err := t.expand(ctx, r, "", nil, []any{"resources", i}); err != nil {
				return err
			}
		}
	} else {
		all := t.section("resources")
		for _, symbol := range slices.Sorted(maps.Keys(all)) {
			if err := t.expand(ctx, all[symbol], symbol, nil, []any{"resources", symbol}); err != nil {
				return err
			}
		}
	}
	if err := t.distinct(); err != nil {
		return err
	}
	return t.order(ctx)
}

// expand adds a resource, once or as often as its copy loop says, and those inside it.
func (t *Template) expand(ctx context.Context, v any, symbol string, parent *Resource, path []any) error {
	raw, ok := v.(map[string]any)
	if !ok {
		return in(failed("a resource must be an object, not %s", kind(whole(v))), path...)
	}
	e := t.env(ctx, nil)
	if t.outer != nil {
		e.copies, e.copy = t.outer.Copies, t.outer.Copy
	}
	if parent != nil {
		e.copies, e.copy = parent.env.copies, parent.env.copy
	}
	loop, ok := field(raw, "copy").(map[string]any)
	if !ok {
		return t.add(e, raw, symbol, parent, path)
	}
	name, _ := field(loop, "name").(string)
	if name == "" {
		name = symbol
	}
	count, err := e.count(field(loop, "count"), at(path, "copy", "count"))
	if err != nil {
		return err
	}
	batch := 0
	if strings.EqualFold(text(field(loop, "mode")), "serial") {
		size, _ := number(field(loop, "batchSize")).(int64)
		batch = max(int(size), 1)
	}
	for i := range count {
		one := symbol
		if symbol != "" {
			one = fmt.Sprintf("%s[%d]", symbol, i)
		}
		first := len(t.Resources)
		if err := t.add(e.with(name, i), raw, one, parent, path); err != nil {
			return err
		}
		if first < len(t.Resources) {
			r := t.Resources[first]
			r.loop, r.index, r.batch = name, i, batch
		}
	}
	return nil
}

// word evaluates a member that must be known before anything is deployed.
func (e *env) word(raw map[string]any, name string, path []any) (string, error) {
	v, ok := lookup(raw, name)
	if !ok {
		return "", nil
	}
	v, err := e.value(v, at(path, name)...)
	if errors.Is(err, errRuntime) {
		return "", in(failed("'%s' must be known before the deployment begins: 'reference' and 'list..' may not stand in it", name), at(path, name)...)
	}
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", in(failed("'%s' must be a string, not %s", name, kind(v)), at(path, name)...)
	}
	return s, nil
}

func (t *Template) add(e *env, raw map[string]any, symbol string, parent *Resource, path []any) error {
	if len(t.Resources) >= maxCopies {
		return in(failed("the template has more than %d resources: split it into several deployments", maxCopies), path...)
	}
	r := &Resource{Symbol: symbol, Path: path, raw: raw, env: e, inside: -1}
	var err error
	for name, to := range map[string]*string{"type": &r.Type, "name": &r.Name, "apiVersion": &r.APIVersion} {
		if *to, err = e.word(raw, name, path); err != nil {
			return err
		}
	}
	if r.Type == "" || r.Name == "" {
		return in(failed("a resource needs 'type', 'name' and 'apiVersion'"), path...)
	}
	if r.APIVersion == "" && !strings.Contains(text(field(t.doc, "apiProfile")), "-") {
		return in(failed("the resource '%s' has no 'apiVersion'", r.Name), path...)
	}
	if parent != nil {
		r.inside = slices.Index(t.Resources, parent)
		if !strings.Contains(r.Type, "/") || strings.Count(r.Type, "/") < strings.Count(parent.Type, "/")+1 {
			r.Type, r.Name = parent.Type+"/"+r.Type, parent.Name+"/"+r.Name
		}
	}
	r.Existing = field(raw, "existing") == true
	if cond, ok := lookup(raw, "condition"); ok {
		v, err := e.value(cond, at(path, "condition")...)
		if errors.Is(err, errRuntime) {
			return in(failed("'condition' must be known before the deployment begins: 'reference' and 'list..' may not stand in it"), at(path, "condition")...)
		}
		if err != nil {
			return err
		}
		yes, ok := v.(bool)
		if !ok {
			return in(failed("'condition' must be a bool, not %s", kind(v)), at(path, "condition")...)
		}
		r.Skipped = !yes
	}
	r.Skipped = r.Skipped || parent != nil && parent.Skipped
	if r.ID, err = t.idOf(r, parent); err != nil {
		return err
	}
	if r.wants, err = e.wanted(raw, path); err != nil {
		return err
	}
	properties, _ := field(raw, "properties").(map[string]any)
	r.nesting = strings.EqualFold(r.Type, "Microsoft.Resources/deployments") && field(properties, "template") != nil
	t.Resources = append(t.Resources, r)
	return t.children(e.Context, r)
}

// children adds the resources that stand inside r.
func (t *Template) children(ctx context.Context, r *Resource) error {
	switch list := field(r.raw, "resources").(type) {
	case []any:
		for i, child := range list {
			if err := t.expand(ctx, child, "", r, at(r.Path, "resources", i)); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, symbol := range slices.Sorted(maps.Keys(list)) {
			if err := t.expand(ctx, list[symbol], symbol, r, at(r.Path, "resources", symbol)); err != nil {
				return err
			}
		}
	}
	return nil
}

// wanted evaluates dependsOn.
func (e *env) wanted(raw map[string]any, path []any) ([]string, error) {
	v, ok := lookup(raw, "dependsOn")
	if !ok || v == nil {
		return nil, nil
	}
	path = at(path, "dependsOn")
	v, err := e.value(v, path...)
	if errors.Is(err, errRuntime) {
		return nil, in(failed("'reference' and 'list..' may not stand in 'dependsOn'"), path...)
	}
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, in(failed("'dependsOn' must be an array, not %s", kind(v)), path...)
	}
	var out []string
	for i, one := range list {
		s, ok := one.(string)
		if !ok {
			return nil, in(failed("an element of 'dependsOn' must be a string, not %s", kind(one)), at(path, i)...)
		}
		out = append(out, s)
	}
	return out, nil
}

// idOf is where a resource will stand.
func (t *Template) idOf(r *Resource, parent *Resource) (string, error) {
	words, names := strings.Split(r.Type, "/"), strings.Split(r.Name, "/")
	if len(words) < 2 || len(names) != len(words)-1 || slices.Contains(names, "") {
		return "", in(failed("the name '%s' must have as many parts between slashes as the type '%s' has words after its namespace: %d", r.Name, r.Type, max(len(words)-1, 1)), at(r.Path, "name")...)
	}
	scope := t.context.Scope
	group, err := r.env.word(r.raw, "resourceGroup", r.Path)
	if err != nil {
		return "", err
	}
	sub, err := r.env.word(r.raw, "subscriptionId", r.Path)
	if err != nil {
		return "", err
	}
	own, err := r.env.word(r.raw, "scope", r.Path)
	if err != nil {
		return "", err
	}
	if parent != nil && field(parent.raw, "scope") != nil && own == "" {
		if own, err = parent.env.word(parent.raw, "scope", parent.Path); err != nil {
			return "", err
		}
	}
	if sub != "" {
		scope = "/subscriptions/" + sub
	}
	if group != "" {
		if sub == "" {
			scope = r.env.subscription()
		}
		scope += "/resourceGroups/" + group
	}
	switch {
	case own == "/":
		scope = ""
	case strings.HasPrefix(own, "/"):
		scope = strings.TrimSuffix(own, "/")
	case own != "":
		if scope, err = relative(scope, own); err != nil {
			return "", in(err, at(r.Path, "scope")...)
		}
	}
	return compose(scope, words, names), nil
}

// relative is the id of Namespace/type/name/subtype/name below a scope.
func relative(scope, s string) (string, error) {
	segs := strings.Split(strings.Trim(s, "/"), "/")
	if len(segs) < 3 || len(segs)%2 == 0 {
		return "", failed("'%s' is neither an id nor of the form Namespace/type/name", s)
	}
	words, names := []string{segs[0]}, []string{}
	for i := 1; i < len(segs); i += 2 {
		words, names = append(words, segs[i]), append(names, segs[i+1])
	}
	return compose(scope, words, names), nil
}

// distinct refuses two resources with one id.
func (t *Template) distinct() error {
	seen := map[string]*Resource{}
	for _, r := range t.Resources {
		if r.Skipped || r.Existing {
			continue
		}
		key := strings.ToLower(r.ID)
		if other := seen[key]; other != nil {
			return in(failed("the resource '%s' of the type '%s' is there twice: also at '%s'. In a loop, make the name different with copyIndex()", r.Name, r.Type, (&Error{Path: other.Path}).Where()), r.Path...)
		}
		seen[key] = r
	}
	return nil
}

package template

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Runtime answers what only a running deployment knows. Its errors are shown as they are.
type Runtime interface {
	// Reference is a resource's properties, or with full the whole document. apiVersion may be empty.
	Reference(ctx context.Context, id, apiVersion string, full bool) (any, error)
	// List calls a list function (listKeys) of a resource.
	List(ctx context.Context, function, id, apiVersion string, body any) (any, error)
}

// errRuntime says that an expression needs a Runtime, where there is none.
var errRuntime = errors.New("needs what only a running deployment knows")

// env is where an expression is evaluated.
type env struct {
	context.Context
	t      *Template
	rt     Runtime        // nil while the template is planned
	copies map[string]int // index of each copy loop around it, by name in lower case
	copy   string         // the innermost
	locals map[string]any // variables of lambdas
	params map[string]any // set in a user's function, by name in lower case
	budget *int           // what it may still compute
}

// Limits of what a template computes: they keep a small text from becoming a large answer.
const (
	maxSteps = 2_000_000
	maxText  = 1 << 20 // bytes of a computed text
	maxItems = 20_000  // of a computed array
)

func (e *env) spend(n int) error {
	if *e.budget -= n; *e.budget < 0 {
		return failed("the template computes more than %d values: make it smaller", maxSteps)
	}
	return nil
}

func (e *env) with(copyName string, index int) *env {
	out := *e
	out.copies = maps.Clone(e.copies)
	if out.copies == nil {
		out.copies = map[string]int{}
	}
	out.copy = strings.ToLower(copyName)
	out.copies[out.copy] = index
	return &out
}

// text evaluates a text if it is an expression.
func (e *env) text(s string) (any, error) {
	if err := e.spend(1 + len(s)/100); err != nil {
		return nil, err
	}
	if !isExpression(s) {
		return literal(s), nil
	}
	n, err := e.t.parsed(s)
	if err != nil {
		return nil, err
	}
	return e.eval(n)
}

// value evaluates all texts of a JSON value, its names too, and its copy loops. path is where it stands.
func (e *env) value(v any, path ...any) (any, error) {
	if err := e.spend(1); err != nil {
		return nil, in(err, path...)
	}
	switch v := v.(type) {
	case string:
		out, err := e.text(v)
		return out, in(err, path...)
	case []any:
		out := make([]any, 0, len(v))
		for i, item := range v {
			one, err := e.value(item, at(path, i)...)
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
		return out, nil
	case map[string]any:
		return e.object(v, path)
	}
	return number(v), nil
}

func at(path []any, step ...any) []any { return append(slices.Clone(path), step...) }

func (e *env) object(v map[string]any, path []any) (any, error) {
	out := make(map[string]any, len(v))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if loops, ok := v[name].([]any); ok && strings.EqualFold(name, "copy") && areLoops(loops) {
			if err := e.loops(out, loops, at(path, name)); err != nil {
				return nil, err
			}
			continue
		}
		key, err := e.text(name)
		if err != nil {
			return nil, in(err, at(path, name)...)
		}
		text, ok := key.(string)
		if !ok {
			return nil, in(failed("a property's name must be a text, not %s", kind(key)), at(path, name)...)
		}
		if out[text], err = e.value(v[name], at(path, name)...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// areLoops tells a copy element of properties or variables from a property of that name.
func areLoops(loops []any) bool {
	for _, l := range loops {
		m, _ := l.(map[string]any)
		if m == nil || field(m, "name") == nil || field(m, "count") == nil {
			return false
		}
	}
	return len(loops) > 0
}

// loops makes a property of each copy element: an array of its input, evaluated count times.
func (e *env) loops(out map[string]any, loops []any, path []any) error {
	for i, l := range loops {
		loop := l.(map[string]any)
		name, ok := field(loop, "name").(string)
		if !ok {
			return in(failed("'name' of a copy element must be a text"), at(path, i)...)
		}
		count, err := e.count(field(loop, "count"), at(path, i, "count"))
		if err != nil {
			return err
		}
		items := make([]any, 0, count)
		for n := range count {
			one, err := e.with(name, n).value(field(loop, "input"), at(path, i, "input")...)
			if err != nil {
				return err
			}
			items = append(items, one)
		}
		out[name] = items
	}
	return nil
}

// maxCopies is the most that a loop may make, and the most resources of a template, as in Azure.
const maxCopies = 800

// count evaluates the count of a copy loop.
func (e *env) count(v any, path []any) (int, error) {
	v, err := e.value(v, path...)
	if err != nil {
		return 0, err
	}
	n, ok := v.(int64)
	switch {
	case !ok:
		return 0, in(failed("the count of a copy loop must be a whole number, not %s", kind(v)), path...)
	case n < 0 || n > maxCopies:
		return 0, in(failed("the copy loop's count is %d: it may be 0 to %d", n, maxCopies), path...)
	}
	return int(n), nil
}

// eval computes an expression.
func (e *env) eval(n *node) (any, error) {
	if err := e.Err(); err != nil {
		return nil, err
	}
	if err := e.spend(1); err != nil {
		return nil, err
	}
	v, err := e.compute(n)
	if err == nil {
		err = e.bounded(v)
	}
	var problem *Error
	if errors.As(err, &problem) && problem.Column == 0 && problem.Path == nil {
		out := *problem
		out.Column = n.at
		err = &out
	}
	return v, err
}

func (e *env) bounded(v any) error {
	switch v := v.(type) {
	case string:
		if len(v) > maxText {
			return failed("the result is longer than %d bytes", maxText)
		}
		return e.spend(len(v) / 1000)
	case []any:
		if len(v) > maxItems {
			return failed("the result has more than %d elements", maxItems)
		}
		return e.spend(len(v) / 10)
	}
	return nil
}

func (e *env) compute(n *node) (any, error) {
	switch n.op {
	case "value":
		return n.value, nil
	case "call":
		return e.call(n)
	}
	of, err := e.eval(n.of)
	if err != nil {
		return nil, err
	}
	if n.op == "member" {
		return member(of, n.name)
	}
	index, err := e.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	return item(of, index)
}

// member is a property of an object, in any case.
func member(of any, name string) (any, error) {
	m, ok := of.(map[string]any)
	if !ok {
		return nil, failed("the property '%s' cannot be taken of %s", name, kind(of))
	}
	v, ok := lookup(m, name)
	if !ok {
		return nil, failed("the object has no property '%s'. It has: %s", name, names(m))
	}
	return v, nil
}

func item(of, index any) (any, error) {
	switch i := index.(type) {
	case string:
		return member(of, i)
	case int64:
		list, ok := of.([]any)
		if !ok {
			return nil, failed("the element %d cannot be taken of %s", i, kind(of))
		}
		if i < 0 || i >= int64(len(list)) {
			return nil, failed("the array has %d elements: there is no element %d (the first is 0)", len(list), i)
		}
		return list[i], nil
	}
	return nil, failed("an index must be a whole number or a text, not %s", kind(index))
}

// lookup finds a name in an object: as it is written, else in any case.
func lookup(m map[string]any, name string) (any, bool) {
	if v, ok := m[name]; ok {
		return v, true
	}
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return nil, false
}

// field is lookup for what may be missing.
func field(m map[string]any, name string) any {
	v, _ := lookup(m, name)
	return v
}

func names(m map[string]any) string {
	all := slices.Sorted(maps.Keys(m))
	if len(all) == 0 {
		return "none"
	}
	if len(all) > 20 {
		all = append(all[:20], "…")
	}
	return strings.Join(all, ", ")
}

// number makes a whole number of what JSON calls one.
func number(v any) any {
	switch n := v.(type) {
	case float64:
		if n == float64(int64(n)) && n > -1<<53 && n < 1<<53 {
			return int64(n)
		}
	case int:
		return int64(n)
	}
	return v
}

// whole is number for all of a value.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = whole(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = whole(e)
		}
		return out
	}
	return number(v)
}

// kind names a value's type as templates do.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case int64:
		return "an int"
	case float64:
		return "a number"
	case bool:
		return "a bool"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return "something else"
}

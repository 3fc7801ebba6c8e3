package template

import (
	"maps"
	"slices"
	"strings"
)

// lambda is a function that stands as an argument: lambda('x', ..lambdaVariables('x')..).
type lambda struct {
	e     *env
	names []string
	body  *node
}

func (e *env) lambda(n *node, least, most int) (*lambda, error) {
	if n.op != "call" || !strings.EqualFold(n.name, "lambda") || len(n.args) < 2 {
		return nil, failed("the last argument must be lambda('name', ..)")
	}
	l := &lambda{e: e, body: n.args[len(n.args)-1]}
	for _, arg := range n.args[:len(n.args)-1] {
		v, err := e.eval(arg)
		name, ok := v.(string)
		if err != nil || !ok {
			return nil, failed("the names of a lambda's variables must be texts")
		}
		l.names = append(l.names, strings.ToLower(name))
	}
	if len(l.names) < least || len(l.names) > most {
		return nil, failed("the lambda has %d variables here: it may have %d to %d", len(l.names), least, most)
	}
	return l, nil
}

func (l *lambda) call(values ...any) (any, error) {
	inner := *l.e
	inner.locals = maps.Clone(l.e.locals)
	if inner.locals == nil {
		inner.locals = map[string]any{}
	}
	for i, name := range l.names {
		inner.locals[name] = values[i]
	}
	return inner.eval(l.body)
}

// over takes the array and the lambda of a call whose last argument is one.
func (e *env) over(n *node, count, least, most int) ([]any, *lambda, error) {
	if len(n.args) != count {
		return nil, nil, failed("the function '%s' takes %d arguments, not %d", n.name, count, len(n.args))
	}
	v, err := e.eval(n.args[0])
	if err != nil {
		return nil, nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, nil, failed("the function '%s': argument 1 must be an array, not %s", n.name, kind(v))
	}
	l, err := e.lambda(n.args[count-1], least, most)
	return list, l, err
}

func filterCall(e *env, n *node) (any, error) {
	list, l, err := e.over(n, 2, 1, 2)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for i, v := range list {
		keep, err := l.call(v, int64(i))
		if err != nil {
			return nil, err
		}
		yes, ok := keep.(bool)
		if !ok {
			return nil, failed("the lambda of 'filter' must give a bool, not %s", kind(keep))
		}
		if yes {
			out = append(out, v)
		}
	}
	return out, nil
}

func mapCall(e *env, n *node) (any, error) {
	list, l, err := e.over(n, 2, 1, 2)
	if err != nil {
		return nil, err
	}
	out := make([]any, 0, len(list))
	for i, v := range list {
		one, err := l.call(v, int64(i))
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func mapValuesCall(e *env, n *node) (any, error) {
	if len(n.args) != 2 {
		return nil, failed("the function 'mapValues' takes 2 arguments, not %d", len(n.args))
	}
	v, err := e.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, failed("the function 'mapValues': argument 1 must be an object, not %s", kind(v))
	}
	l, err := e.lambda(n.args[1], 1, 1)
	if err != nil {
		return nil, err
	}
	out := make(map[string]any, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if out[k], err = l.call(m[k]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func reduceCall(e *env, n *node) (any, error) {
	list, l, err := e.over(n, 3, 2, 3)
	if err != nil {
		return nil, err
	}
	acc, err := e.eval(n.args[1])
	for i, v := range list {
		if err != nil {
			return nil, err
		}
		acc, err = l.call(acc, v, int64(i))
	}
	return acc, err
}

func sortCall(e *env, n *node) (any, error) {
	list, l, err := e.over(n, 2, 2, 2)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b any) int {
		if err != nil {
			return 0
		}
		less, cerr := l.call(a, b)
		yes, ok := less.(bool)
		switch {
		case cerr != nil:
			err = cerr
		case !ok:
			err = failed("the lambda of 'sort' must give a bool, not %s", kind(less))
		case yes:
			return -1
		default:
			if more, merr := l.call(b, a); merr == nil && more == true {
				return 1
			}
		}
		return 0
	})
	return out, err
}

// keyed gives each element with the text that its lambda makes of it.
func (e *env) keyed(list []any, l *lambda, do func(key string, v any) error) error {
	for _, v := range list {
		k, err := l.call(v, nil)
		if err != nil {
			return err
		}
		key, ok := k.(string)
		if !ok {
			return failed("the lambda must give a string as the name, not %s", kind(k))
		}
		if err := do(key, v); err != nil {
			return err
		}
	}
	return nil
}

func toObjectCall(e *env, n *node) (any, error) {
	list, l, err := e.over(&node{name: n.name, args: n.args[:min(len(n.args), 2)]}, 2, 1, 1)
	if err != nil {
		return nil, err
	}
	var value *lambda
	if len(n.args) > 2 {
		if value, err = e.lambda(n.args[2], 1, 1); err != nil {
			return nil, err
		}
	}
	out := map[string]any{}
	err = e.keyed(list, l, func(key string, v any) (err error) {
		if value != nil {
			v, err = value.call(v)
		}
		out[key] = v
		return err
	})
	return out, err
}

func groupByCall(e *env, n *node) (any, error) {
	list, l, err := e.over(n, 2, 1, 1)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	err = e.keyed(list, l, func(key string, v any) error {
		group, _ := out[key].([]any)
		out[key] = append(group, v)
		return nil
	})
	return out, err
}

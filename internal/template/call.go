package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// function is one of the language's: it gets its arguments evaluated.
// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions
type function struct {
	min, max int // arguments; max -1: any number
	do       func(e *env, a args) (any, error)
	name     string // as it is documented
}

// args are the arguments of a call. Its methods take one, and remember the first that has another type.
type args struct {
	all []any
	err *error
}

func (a args) fail(format string, v ...any) {
	if *a.err == nil {
		*a.err = failed(format, v...)
	}
}

func (a args) wrong(i int, want string) {
	a.fail("argument %d must be %s, not %s", i+1, want, kind(a.all[i]))
}

func (a args) len() int { return len(a.all) }

func (a args) str(i int) string {
	s, ok := a.all[i].(string)
	if !ok {
		a.wrong(i, "a string")
	}
	return s
}

func (a args) strOr(i int, or string) string {
	if i >= len(a.all) || a.all[i] == nil {
		return or
	}
	return a.str(i)
}

func (a args) num(i int) int64 {
	n, ok := a.all[i].(int64)
	if !ok {
		a.wrong(i, "an int")
	}
	return n
}

func (a args) boolean(i int) bool {
	b, ok := a.all[i].(bool)
	if !ok {
		a.wrong(i, "a bool")
	}
	return b
}

func (a args) list(i int) []any {
	l, ok := a.all[i].([]any)
	if !ok {
		a.wrong(i, "an array")
	}
	return l
}

func (a args) obj(i int) map[string]any {
	m, ok := a.all[i].(map[string]any)
	if !ok {
		a.wrong(i, "an object")
	}
	return m
}

// functions are all that get their arguments evaluated, by name in lower case.
var functions map[string]function

func init() {
	functions = map[string]function{}
	for _, group := range []map[string]function{arrayFunctions, dateFunctions, logicFunctions, numberFunctions, objectFunctions, stringFunctions, cidrFunctions, scopeFunctions, resourceFunctions} {
		for name, f := range group {
			f.name = name
			functions[strings.ToLower(name)] = f
		}
	}
}

// call evaluates a function call.
func (e *env) call(n *node) (any, error) {
	name := strings.ToLower(n.name)
	if special, ok := specials()[name]; ok {
		return special(e, n)
	}
	if strings.Contains(name, ".") {
		return e.userCall(n, name)
	}
	f, ok := functions[name]
	if !ok && strings.HasPrefix(name, "list") && len(name) > len("list") {
		f, ok = function{min: 1, max: 3, do: func(e *env, a args) (any, error) { return e.listCall(n.name, a) }}, true
	}
	if !ok {
		return nil, failed("there is no function '%s'%s", n.name, nearest(name))
	}
	if len(n.args) < f.min || f.max >= 0 && len(n.args) > f.max {
		return nil, failed("the function '%s' takes %s, not %d", n.name, arity(f.min, f.max), len(n.args))
	}
	var err error
	a := args{make([]any, len(n.args)), &err}
	for i, arg := range n.args {
		if a.all[i], err = e.eval(arg); err != nil {
			return nil, err
		}
	}
	v, ferr := f.do(e, a)
	if err == nil {
		err = ferr
	}
	var problem *Error
	if errors.As(err, &problem) && problem.Path == nil && problem.Column == 0 {
		return nil, failed("the function '%s': %s", n.name, problem.Msg)
	}
	return v, err
}

func arity(least, most int) string {
	switch {
	case most < 0:
		return fmt.Sprintf("%d arguments or more", least)
	case least == most && least == 1:
		return "1 argument"
	case least == most:
		return fmt.Sprintf("%d arguments", least)
	}
	return fmt.Sprintf("%d to %d arguments", least, most)
}

// nearest names the functions that begin alike.
func nearest(name string) string {
	if len(name) < 3 {
		return ""
	}
	var near []string
	for _, f := range slices.Sorted(maps.Keys(functions)) {
		if strings.HasPrefix(f, name[:3]) {
			near = append(near, functions[f].name)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return ". There are: " + strings.Join(near[:min(len(near), 5)], ", ")
}

// userCall evaluates a function that the template defines: it sees its parameters only.
func (e *env) userCall(n *node, name string) (any, error) {
	f, ok := e.t.functions[name]
	if !ok {
		return nil, failed("the template defines no function '%s'", n.name)
	}
	if len(n.args) != len(f.params) {
		return nil, failed("the function '%s' takes %s, not %d", n.name, arity(len(f.params), len(f.params)), len(n.args))
	}
	inner := &env{Context: e.Context, t: e.t, budget: e.budget, params: map[string]any{}}
	for i, arg := range n.args {
		v, err := e.eval(arg)
		if err != nil {
			return nil, err
		}
		if err := checkType(f.params[i].typ, v); err != nil {
			return nil, failed("argument %d of '%s': %s", i+1, n.name, err.Error())
		}
		inner.params[strings.ToLower(f.params[i].name)] = v
	}
	return inner.value(f.output, f.path...)
}

// specials evaluate their arguments themselves.
func specials() map[string]func(*env, *node) (any, error) {
	return map[string]func(*env, *node) (any, error){
		"if": ifCall, "and": andCall, "or": orCall, "coalesce": coalesceCall,
		"filter": filterCall, "map": mapCall, "mapvalues": mapValuesCall, "reduce": reduceCall, "sort": sortCall, "toobject": toObjectCall, "groupby": groupByCall,
		"lambda": func(_ *env, _ *node) (any, error) {
			return nil, failed("'lambda' may only stand as an argument of filter, map, mapValues, reduce, sort, toObject and groupBy")
		},
	}
}

func ifCall(e *env, n *node) (any, error) {
	if len(n.args) != 3 {
		return nil, failed("the function 'if' takes 3 arguments, not %d", len(n.args))
	}
	cond, err := e.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	yes, ok := cond.(bool)
	if !ok {
		return nil, failed("the function 'if': argument 1 must be a bool, not %s", kind(cond))
	}
	if yes {
		return e.eval(n.args[1])
	}
	return e.eval(n.args[2])
}

func andCall(e *env, n *node) (any, error) { return e.junction(n, false) }
func orCall(e *env, n *node) (any, error)  { return e.junction(n, true) }

// junction is and / or: it ends at the first argument that decides.
func (e *env) junction(n *node, decides bool) (any, error) {
	if len(n.args) < 2 {
		return nil, failed("the function '%s' takes 2 arguments or more, not %d", n.name, len(n.args))
	}
	for i, arg := range n.args {
		v, err := e.eval(arg)
		if err != nil {
			return nil, err
		}
		b, ok := v.(bool)
		if !ok {
			return nil, failed("the function '%s': argument %d must be a bool, not %s", n.name, i+1, kind(v))
		}
		if b == decides {
			return decides, nil
		}
	}
	return !decides, nil
}

func coalesceCall(e *env, n *node) (any, error) {
	if len(n.args) == 0 {
		return nil, failed("the function 'coalesce' takes 1 argument or more")
	}
	for _, arg := range n.args {
		v, err := e.eval(arg)
		if err != nil || v != nil {
			return v, err
		}
	}
	return nil, nil
}

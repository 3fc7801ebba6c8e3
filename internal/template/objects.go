package template

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"cloister.dev/cloister/internal/laxjson"
)

// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-object
var objectFunctions = map[string]function{
	"createObject": {min: 0, max: -1, do: func(_ *env, a args) (any, error) {
		if a.len()%2 != 0 {
			a.fail("names and values come in pairs: there are %d arguments", a.len())
			return nil, nil
		}
		out := map[string]any{}
		for i := 0; i < a.len(); i += 2 {
			out[a.str(i)] = a.all[i+1]
		}
		return out, nil
	}},
	"items": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		m, out := a.obj(0), []any{}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			out = append(out, map[string]any{"key": k, "value": m[k]})
		}
		return out, nil
	}},
	"objectKeys": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		out := []any{}
		for _, k := range slices.Sorted(maps.Keys(a.obj(0))) {
			out = append(out, k)
		}
		return out, nil
	}},
	"json": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		n, err := laxjson.Parse([]byte(a.str(0)))
		if err != nil {
			a.fail("the text is no JSON: %v", err)
			return nil, nil
		}
		return whole(n.Value()), nil
	}},
	"null":         {min: 0, max: 0, do: func(*env, args) (any, error) { return nil, nil }},
	"union":        {min: 1, max: -1, do: union},
	"shallowMerge": {min: 1, max: 1, do: shallowMerge},
	"intersection": {min: 1, max: -1, do: intersection},
	"tryGet": {min: 1, max: -1, do: func(_ *env, a args) (any, error) {
		v := a.all[0]
		for _, step := range a.all[1:] {
			next, err := item(v, step)
			if err != nil {
				return nil, nil //nolint:nilerr // what is not there is null: that is what tryGet is for
			}
			v = next
		}
		return v, nil
	}},
}

func union(_ *env, a args) (any, error) {
	if _, ok := a.all[0].([]any); ok {
		out := []any{}
		for i := range a.all {
			for _, v := range a.list(i) {
				if !slices.ContainsFunc(out, func(o any) bool { return equal(o, v, false) }) {
					out = append(out, v)
				}
			}
		}
		return out, nil
	}
	out := map[string]any{}
	for i := range a.all {
		out = merge(out, a.obj(i))
	}
	return out, nil
}

// merge puts what over has into m, objects inside, too.
func merge(m, over map[string]any) map[string]any {
	out := maps.Clone(m)
	for k, v := range over {
		inner, ok := v.(map[string]any)
		old, both := out[k].(map[string]any)
		if ok && both {
			v = merge(old, inner)
		}
		out[k] = v
	}
	return out
}

func shallowMerge(_ *env, a args) (any, error) {
	out := map[string]any{}
	for _, v := range a.list(0) {
		m, ok := v.(map[string]any)
		if !ok {
			a.fail("each element must be an object, not %s", kind(v))
		}
		maps.Copy(out, m)
	}
	return out, nil
}

func intersection(_ *env, a args) (any, error) {
	if l, ok := a.all[0].([]any); ok {
		out := []any{}
		for _, v := range l {
			everywhere := !slices.ContainsFunc(out, func(o any) bool { return equal(o, v, false) })
			for i := range a.all[1:] {
				everywhere = everywhere && slices.ContainsFunc(a.list(i+1), func(o any) bool { return equal(o, v, false) })
			}
			if everywhere {
				out = append(out, v)
			}
		}
		return out, nil
	}
	out := maps.Clone(a.obj(0))
	for i := range a.all[1:] {
		other := a.obj(i + 1)
		maps.DeleteFunc(out, func(k string, v any) bool { o, ok := other[k]; return !ok || !equal(o, v, false) })
	}
	return out, nil
}

// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-logical and -comparison
var logicFunctions = map[string]function{
	"true":  {min: 0, max: 0, do: func(*env, args) (any, error) { return true, nil }},
	"false": {min: 0, max: 0, do: func(*env, args) (any, error) { return false, nil }},
	"not":   {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return !a.boolean(0), nil }},
	"bool": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		switch v := a.all[0].(type) {
		case bool:
			return v, nil
		case int64:
			return v != 0, nil
		case string:
			switch strings.ToLower(v) {
			case "true", "1":
				return true, nil
			case "false", "0":
				return false, nil
			}
		}
		a.wrong(0, "'true', 'false' or an int")
		return nil, nil
	}},
	"equals":          {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return equal(a.all[0], a.all[1], false), nil }},
	"less":            {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return order(a) < 0, nil }},
	"lessOrEquals":    {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return order(a) <= 0, nil }},
	"greater":         {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return order(a) > 0, nil }},
	"greaterOrEquals": {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return order(a) >= 0, nil }},
}

// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-numeric
var numberFunctions = map[string]function{
	"add": {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return a.num(0) + a.num(1), nil }},
	"sub": {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return a.num(0) - a.num(1), nil }},
	"mul": {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return a.num(0) * a.num(1), nil }},
	"div": {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return divide(a, func(x, y int64) int64 { return x / y }) }},
	"mod": {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return divide(a, func(x, y int64) int64 { return x % y }) }},
	"int": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		switch v := a.all[0].(type) {
		case int64:
			return v, nil
		case float64:
			return int64(v), nil
		case string:
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
				return n, nil
			}
		}
		a.fail("%s is no whole number", show(a.all[0]))
		return nil, nil
	}},
	"float": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		switch v := a.all[0].(type) {
		case int64:
			return v, nil
		case float64:
			return v, nil
		case string:
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				return number(f), nil
			}
		}
		a.fail("%s is no number", show(a.all[0]))
		return nil, nil
	}},
}

func divide(a args, do func(x, y int64) int64) (any, error) {
	x, y := a.num(0), a.num(1)
	switch {
	case y == 0:
		a.fail("argument 2 is 0: nothing can be divided by it")
	case x == math.MinInt64 && y == -1:
		a.fail("the result is too large")
	default:
		return do(x, y), nil
	}
	return nil, nil
}

// show is a value for messages.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return kind(v)
	}
	return head(string(b))
}

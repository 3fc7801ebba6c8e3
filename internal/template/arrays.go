package template

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-array
var arrayFunctions = map[string]function{
	"array": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		if l, ok := a.all[0].([]any); ok {
			return l, nil
		}
		return []any{a.all[0]}, nil
	}},
	"createArray": {min: 0, max: -1, do: func(_ *env, a args) (any, error) { return slices.Clone(a.all), nil }},
	"concat":      {min: 1, max: -1, do: concat},
	"contains":    {min: 2, max: 2, do: contains},
	"empty":       {min: 1, max: 1, do: empty},
	"length":      {min: 1, max: 1, do: length},
	"first":       {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return end(a, true) }},
	"last":        {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return end(a, false) }},
	"indexOf": {min: 2, max: 2, do: func(_ *env, a args) (any, error) {
		return position(a, slices.IndexFunc[[]any], strings.Index)
	}},
	"lastIndexOf": {min: 2, max: 2, do: func(_ *env, a args) (any, error) {
		return position(a, func(l []any, f func(any) bool) int {
			for i := len(l) - 1; i >= 0; i-- {
				if f(l[i]) {
					return i
				}
			}
			return -1
		}, strings.LastIndex)
	}},
	"range": {min: 2, max: 2, do: func(_ *env, a args) (any, error) {
		start, count := a.num(0), a.num(1)
		if count < 0 || count > 10_000 {
			a.fail("the count is %d: it may be 0 to 10000", count)
			return nil, nil
		}
		out := make([]any, 0, count)
		for i := range count {
			out = append(out, start+i)
		}
		return out, nil
	}},
	"skip": {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return part(a, true) }},
	"take": {min: 2, max: 2, do: func(_ *env, a args) (any, error) { return part(a, false) }},
	"max":  {min: 1, max: -1, do: func(_ *env, a args) (any, error) { return extreme(a, slices.Max[[]int64]) }},
	"min":  {min: 1, max: -1, do: func(_ *env, a args) (any, error) { return extreme(a, slices.Min[[]int64]) }},
	"indexFromEnd": {min: 2, max: 2, do: func(_ *env, a args) (any, error) {
		l, n := a.list(0), a.num(1)
		if n < 1 || n > int64(len(l)) {
			a.fail("the array has %d elements: there is no element %d from the end (the last is 1)", len(l), n)
			return nil, nil
		}
		return l[int64(len(l))-n], nil
	}},
	"tryIndexFromEnd": {min: 2, max: 2, do: func(_ *env, a args) (any, error) {
		if l, n := a.list(0), a.num(1); n >= 1 && n <= int64(len(l)) {
			return l[int64(len(l))-n], nil
		}
		return nil, nil
	}},
	"flatten": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		out := []any{}
		for _, v := range a.list(0) {
			l, ok := v.([]any)
			if !ok {
				a.fail("each element must be an array, not %s", kind(v))
			}
			out = append(out, l...)
		}
		return out, nil
	}},
}

func concat(_ *env, a args) (any, error) {
	if _, ok := a.all[0].([]any); ok {
		out := []any{}
		for i := range a.all {
			out = append(out, a.list(i)...)
		}
		return out, nil
	}
	var out strings.Builder
	for i, v := range a.all {
		s, ok := simple(v)
		if !ok {
			a.wrong(i, "a string, an int or a bool, as the first one is no array")
		}
		if out.Len()+len(s) > maxText {
			a.fail("the result is longer than %d bytes", maxText)
			return nil, nil
		}
		out.WriteString(s)
	}
	return out.String(), nil
}

// equal compares two values; texts in any case only where fold says so.
func equal(a, b any, fold bool) bool {
	x, ok := a.(string)
	y, both := b.(string)
	if ok && both && fold {
		return strings.EqualFold(x, y)
	}
	return reflect.DeepEqual(a, b)
}

func contains(_ *env, a args) (any, error) {
	switch c := a.all[0].(type) {
	case []any:
		return slices.ContainsFunc(c, func(v any) bool { return equal(v, a.all[1], false) }), nil
	case map[string]any:
		_, ok := lookup(c, a.str(1))
		return ok, nil
	case string:
		s, ok := simple(a.all[1])
		if !ok {
			a.wrong(1, "a string or an int")
		}
		return strings.Contains(c, s), nil
	}
	a.wrong(0, "an array, an object or a string")
	return nil, nil
}

func empty(_ *env, a args) (any, error) {
	if a.all[0] == nil {
		return true, nil
	}
	n, err := length(nil, a)
	return n == int64(0), err
}

func length(_ *env, a args) (any, error) {
	switch v := a.all[0].(type) {
	case []any:
		return int64(len(v)), nil
	case map[string]any:
		return int64(len(v)), nil
	case string:
		return int64(len([]rune(v))), nil
	}
	a.wrong(0, "an array, an object or a string")
	return nil, nil
}

func end(a args, first bool) (any, error) {
	switch v := a.all[0].(type) {
	case []any:
		if len(v) == 0 {
			return nil, nil
		}
		if first {
			return v[0], nil
		}
		return v[len(v)-1], nil
	case string:
		r := []rune(v)
		if len(r) == 0 {
			return "", nil
		}
		if first {
			return string(r[0]), nil
		}
		return string(r[len(r)-1]), nil
	}
	a.wrong(0, "an array or a string")
	return nil, nil
}

func position(a args, inList func([]any, func(any) bool) int, inText func(s, sub string) int) (any, error) {
	switch v := a.all[0].(type) {
	case []any:
		return int64(inList(v, func(x any) bool { return equal(x, a.all[1], false) })), nil
	case string:
		i := inText(strings.ToLower(v), strings.ToLower(a.str(1)))
		if i > 0 {
			i = len([]rune(strings.ToLower(v)[:i]))
		}
		return int64(i), nil
	}
	a.wrong(0, "an array or a string")
	return nil, nil
}

// part is skip and take.
func part(a args, skip bool) (any, error) {
	n := max(a.num(1), 0)
	switch v := a.all[0].(type) {
	case []any:
		n := min(n, int64(len(v)))
		if skip {
			return slices.Clone(v[n:]), nil
		}
		return slices.Clone(v[:n]), nil
	case string:
		r := []rune(v)
		n := min(n, int64(len(r)))
		if skip {
			return string(r[n:]), nil
		}
		return string(r[:n]), nil
	}
	a.wrong(0, "an array or a string")
	return nil, nil
}

func extreme(a args, pick func([]int64) int64) (any, error) {
	all := a.all
	if l, ok := a.all[0].([]any); ok && len(a.all) == 1 {
		all = l
	}
	var numbers []int64
	for _, v := range all {
		n, ok := v.(int64)
		if !ok {
			a.fail("all values must be ints, not %s", kind(v))
		}
		numbers = append(numbers, n)
	}
	if len(numbers) == 0 {
		a.fail("there is no value")
		return nil, nil
	}
	return pick(numbers), nil
}

// order is less, greater and so on: of two ints, or of two texts.
func order(a args) int {
	switch x := a.all[0].(type) {
	case int64:
		return cmp.Compare(x, a.num(1))
	case string:
		return strings.Compare(x, a.str(1))
	}
	a.wrong(0, "an int or a string")
	return 0
}

package deployments

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// differences are the properties of want that are otherwise, or not, in have. What want does not name is left alone:
// providers complete what they are given.
func differences(have, want map[string]any, path string) []any {
	out := []any{}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		at := strings.TrimPrefix(path+"."+name, ".")
		old, ok := lookup(have, name)
		switch d := difference(old, want[name], at, ok); {
		case d == nil:
		case d["propertyChangeType"] == "":
			out = append(out, d["children"].([]any)...)
		default:
			out = append(out, d)
		}
	}
	return out
}

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

// difference is nil if old holds what want says. Of an object, the differences inside are its children, without a type of its own.
func difference(old, want any, path string, there bool) map[string]any {
	if !there || old == nil {
		if want == nil {
			return nil
		}
		return map[string]any{"path": path, "propertyChangeType": "Create", "after": want}
	}
	switch w := want.(type) {
	case map[string]any:
		if o, ok := old.(map[string]any); ok {
			if inside := differences(o, w, path); len(inside) > 0 {
				return map[string]any{"propertyChangeType": "", "children": inside}
			}
			return nil
		}
	case []any:
		if o, ok := old.([]any); ok {
			return listDifference(o, w, path)
		}
	}
	if same(old, want) {
		return nil
	}
	return map[string]any{"path": path, "propertyChangeType": "Modify", "before": old, "after": want}
}

func listDifference(old, want []any, path string) map[string]any {
	children := []any{}
	for i := range max(len(old), len(want)) {
		at := fmt.Sprint(i)
		switch {
		case i >= len(want):
			children = append(children, map[string]any{"path": at, "propertyChangeType": "Delete", "before": old[i]})
		default:
			var o any
			if i < len(old) {
				o = old[i]
			}
			d := difference(o, want[i], at, i < len(old))
			if d != nil && d["propertyChangeType"] == "" {
				inside := differences(asMap(o), asMap(want[i]), "")
				d = map[string]any{"path": at, "propertyChangeType": "Modify", "children": inside}
			}
			if d != nil {
				children = append(children, d)
			}
		}
	}
	if len(children) == 0 {
		return nil
	}
	return map[string]any{"path": path, "propertyChangeType": "Array", "children": children}
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// same compares leaves: numbers of any Go type, and texts in any case where they are ids or regions.
func same(a, b any) bool {
	if reflect.DeepEqual(a, b) || fmt.Sprint(a) == fmt.Sprint(b) {
		return true
	}
	x, ok := a.(string)
	y, both := b.(string)
	return ok && both && strings.EqualFold(strings.ReplaceAll(x, " ", ""), strings.ReplaceAll(y, " ", ""))
}

// overlay is have with what want says.
func overlay(have, want map[string]any) map[string]any {
	out := maps.Clone(have)
	for k, v := range want {
		if inner, ok := v.(map[string]any); ok {
			v = overlay(asMap(out[k]), inner)
		}
		if out == nil {
			out = map[string]any{}
		}
		out[k] = v
	}
	return out
}

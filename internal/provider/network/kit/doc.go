package kit

import (
	"encoding/json"
	"math"
	"sort"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

// Doc is a JSON object as a client sent it.
type Doc map[string]any

// Props is a resource's properties, not a copy.
func Props(r *arm.Resource) Doc { return r.Properties() }

// At is the value below the dotted path, or nil.
func (d Doc) At(path string) any {
	var v any = map[string]any(d)
	for part := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// Str is the string below the path, or "".
func (d Doc) Str(path string) string { s, _ := d.At(path).(string); return s }

// ID is the id of the resource that the object below the path refers to, or "".
func (d Doc) ID(path string) string { return d.Str(path + ".id") }

// Bool is the boolean below the path, or false.
func (d Doc) Bool(path string) bool { b, _ := d.At(path).(bool); return b }

// Int is the whole number below the path, or 0.
func (d Doc) Int(path string) int {
	switch n := d.At(path).(type) {
	case float64:
		return int(n)
	case int:
		return n
	}
	return 0
}

// List is the array below the path.
func (d Doc) List(path string) []any { l, _ := d.At(path).([]any); return l }

// Doc is the object below the path; empty and not part of d if there is none.
func (d Doc) Doc(path string) Doc {
	if m, ok := d.At(path).(map[string]any); ok {
		return m
	}
	return Doc{}
}

// Docs is the array's objects below the path.
func (d Doc) Docs(path string) []Doc {
	var out []Doc
	for _, v := range d.List(path) {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// Strings is the array's strings below the path.
func (d Doc) Strings(path string) []string {
	var out []string
	for _, v := range d.List(path) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Sub is the object below the key, made if there is none.
func (d Doc) Sub(key string) Doc {
	m, ok := d[key].(map[string]any)
	if !ok {
		m = map[string]any{}
		d[key] = m
	}
	return m
}

// Default writes the value where nothing, null or "" is.
func (d Doc) Default(key string, v any) {
	if old := d[key]; old == nil || old == "" {
		d[key] = v
	}
}

// Clone copies a JSON value.
func Clone(v any) any {
	switch v := v.(type) {
	case Doc:
		return Clone(map[string]any(v))
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = Clone(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = Clone(x)
		}
		return out
	}
	return v
}

// Same tells whether two values are the same JSON.
func Same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// Kind is what a field's value must be.
type Kind string

// The kinds of values.
const (
	String  Kind = "a string"
	Boolean Kind = "true or false"
	Number  Kind = "a whole number"
	Object  Kind = "an object"
	Array   Kind = "an array"
	Strings Kind = "an array of strings"
	Objects Kind = "an array of objects"
)

// CheckKinds reports every field of d whose value is of another kind; null stands for
// nothing. target is the path of d. It tells whether all was well.
func CheckKinds(w *arm.Write, d Doc, target string, kinds map[string]Kind) bool {
	paths := make([]string, 0, len(kinds))
	for path := range kinds {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	good := true
	for _, path := range paths {
		if v := d.At(path); v != nil && !is(v, kinds[path]) {
			good = false
			w.Fail("InvalidRequestFormat", target+path, "The value of %s must be %s; %s was sent.", target+path, kinds[path], show(v))
		}
	}
	return good
}

func is(v any, kind Kind) bool {
	switch v := v.(type) {
	case string:
		return kind == String
	case bool:
		return kind == Boolean
	case float64:
		return kind == Number && v == math.Trunc(v) && math.Abs(v) < 1<<31
	case int:
		return kind == Number
	case map[string]any:
		return kind == Object
	case []any:
		for _, e := range v {
			if kind == Strings && !is(e, String) || kind == Objects && !is(e, Object) {
				return false
			}
		}
		return kind == Array || kind == Strings || kind == Objects
	}
	return false
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "something else"
	}
	if r := []rune(string(b)); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return string(b)
}

// Region brings "East US" into the form eastus.
func Region(location string) string {
	return strings.ToLower(strings.ReplaceAll(location, " ", ""))
}

// Refs makes the objects {"id": …} of ids.
func Refs(ids []string) []any {
	out := []any{}
	for _, id := range ids {
		out = append(out, map[string]any{"id": id})
	}
	return out
}

// Unsupported reports a field that Cloister would otherwise only pretend to obey.
func Unsupported(w *arm.Write, target, what, instead string) {
	w.Fail("FeatureNotSupported", target, "%s not offered yet. %s", what, instead)
}

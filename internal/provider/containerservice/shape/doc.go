// Package shape reads and writes the documents of managed clusters and agent
// pools: typed access to what Cloister interprets of them, without losing what it does not.
package shape

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

// Doc is a JSON object as a client sent it.
type Doc map[string]any

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

// Bool is the boolean below the path, or false.
func (d Doc) Bool(path string) bool { b, _ := d.At(path).(bool); return b }

// Int is the whole number below the path, or 0.
func (d Doc) Int(path string) int {
	switch n := d.At(path).(type) {
	case float64:
		return int(n)
	case int:
		return n
	case int64:
		return int(n)
	case json.Number:
		i, _ := n.Int64()
		return int(i)
	}
	return 0
}

// Doc is the object below the path; empty and not part of d if there is none.
func (d Doc) Doc(path string) Doc {
	if m, ok := d.At(path).(map[string]any); ok {
		return m
	}
	return Doc{}
}

// List is the array below the path.
func (d Doc) List(path string) []any { l, _ := d.At(path).([]any); return l }

// Strings is the array of strings below the path, without what is no string.
func (d Doc) Strings(path string) []string {
	var out []string
	for _, v := range d.List(path) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Set writes the value below the path and makes the objects on the way.
func (d Doc) Set(path string, v any) {
	parts := strings.Split(path, ".")
	m := map[string]any(d)
	for _, part := range parts[:len(parts)-1] {
		next, ok := m[part].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[part] = next
		}
		m = next
	}
	m[parts[len(parts)-1]] = v
}

// Default writes the value where nothing, null, "" or 0 is: clients send
// empty values for "the server chooses".
func (d Doc) Default(path string, v any) {
	switch old := d.At(path).(type) {
	case nil:
		d.Set(path, v)
	case string:
		if old == "" {
			d.Set(path, v)
		}
	case float64:
		if old == 0 {
			d.Set(path, v)
		}
	}
}

// Missing writes the value where nothing or null is.
func (d Doc) Missing(path string, v any) {
	if d.At(path) == nil {
		d.Set(path, v)
	}
}

// Remove deletes what is below the path.
func (d Doc) Remove(path string) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		delete(d, path)
		return
	}
	if m, ok := d.At(path[:i]).(map[string]any); ok {
		delete(m, path[i+1:])
	}
}

// Keep copies into d what only old has, down into the objects that both have, but not into those that
// people fill themselves (labels, tags): what is not there any more was taken out.
func (d Doc) Keep(old Doc) {
	for k, v := range old {
		mine, there := d[k]
		if !there {
			d[k] = Clone(v)
			continue
		}
		m, ok := mine.(map[string]any)
		o, ok2 := v.(map[string]any)
		if ok && ok2 && k != "nodeLabels" && k != "tags" {
			Doc(m).Keep(o)
		}
	}
}

// Clone copies a JSON value.
func Clone(v any) any {
	switch v := v.(type) {
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

// Kind is what a field's value must be.
type Kind string

// The kinds of values.
const (
	String  Kind = "a string"
	Boolean Kind = "true or false"
	Number  Kind = "a whole number"
	Object  Kind = "an object"
	Array   Kind = "an array"
)

// CheckKinds reports every field whose value is of another kind; null stands for nothing.
// It tells whether all was well.
func CheckKinds(w *arm.Write, d Doc, target string, kinds map[string]Kind) bool {
	good := true
	for path, kind := range kinds {
		v := d.At(path)
		if v == nil || is(v, kind) {
			continue
		}
		good = false
		w.Fail("InvalidParameter", target+path, "The value of parameter %s is invalid: it must be %s, and %s was sent.", target+path, kind, show(v))
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
	case int, int64:
		return kind == Number
	case map[string]any:
		return kind == Object
	case []any:
		return kind == Array
	}
	return false
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("a %T", v)
	}
	if len(b) > 40 {
		b = append(b[:40], "…"...)
	}
	return string(b)
}

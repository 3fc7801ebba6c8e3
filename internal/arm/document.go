package arm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// reserved are members that the server alone sets; what clients send there is ignored.
var reserved = []string{"id", "name", "type", "etag", "managedBy", "systemData"}

// clean is what counts of a body that a client sent.
func clean(body map[string]any) map[string]any {
	out, _ := clone(body).(map[string]any)
	for key := range out {
		if slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, key) }) {
			delete(out, key)
		}
	}
	if p, ok := out["properties"].(map[string]any); ok {
		delete(p, "provisioningState")
	}
	return out
}

// clone copies a JSON value.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = clone(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = clone(e)
		}
		return out
	}
	return v
}

// mergePatch applies patch to target: https://www.rfc-editor.org/rfc/rfc7396
func mergePatch(target, patch map[string]any) map[string]any {
	out := maps.Clone(target)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(out, k)
		case map[string]any:
			old, _ := out[k].(map[string]any)
			out[k] = mergePatch(old, v)
		default:
			out[k] = clone(v)
		}
	}
	return out
}

// normal makes a body what it will be when it is read from the store again:
// providers may have put structs, ints and string lists into it.
func normal(body map[string]any) (map[string]any, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode body: %w", err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	return out, nil
}

// digest is equal for equal JSON values.
func digest(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// fingerprint changes with what would be stored.
func (r *Resource) fingerprint() (string, error) { return digest(r) }

func (r *Resource) copy() *Resource {
	out := *r
	out.shared = nil
	out.Body, _ = clone(r.Body).(map[string]any)
	out.Private, _ = clone(r.Private).(map[string]any)
	return &out
}

// ETag is the resource's version: W/"<revision>".
func (r *Resource) ETag() string { return `W/"` + strconv.FormatInt(r.Rev, 10) + `"` }

// Document is the resource as clients see it.
func (s *Server) Document(ctx context.Context, r *Resource) (map[string]any, error) {
	doc, err := normal(r.Body)
	if err != nil {
		return nil, err
	}
	return s.complete(ctx, r, s.types[strings.ToLower(r.Type)], doc)
}

// complete adds to a copy of the resource's body what clients see beside it.
func (s *Server) complete(ctx context.Context, r *Resource, t *Type, doc map[string]any) (map[string]any, error) {
	if doc == nil {
		doc = map[string]any{}
	}
	doc["id"], doc["name"], doc["type"], doc["etag"] = r.ID, r.Name, r.Type, r.ETag()
	if r.ManagedBy != "" {
		doc["managedBy"] = r.ManagedBy
	}
	properties, ok := doc["properties"].(map[string]any)
	if !ok {
		properties = map[string]any{}
		doc["properties"] = properties
	}
	properties["provisioningState"] = r.State
	if t != nil && t.View != nil {
		if r.shared != nil {
			r = r.copy()
		}
		if err := t.View(ctx, r, doc); err != nil {
			return nil, fmt.Errorf("show %s: %w", r.ID, err)
		}
	}
	return doc, nil
}

func sorted(in []string) []string {
	slices.Sort(in)
	return in
}

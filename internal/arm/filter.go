package arm

import (
	"fmt"
	"strconv"
	"strings"
)

// A filter is the small part of OData's $filter that ARM's lists have: and, or, not,
// brackets; eq and ne; substringof, startswith, endswith, contains; atScope() and assignedTo().
// https://learn.microsoft.com/rest/api/resources/resources/list#uri-parameters
type filter interface{ matches(r *Resource) bool }

type (
	everything struct{}
	both       struct{ a, b filter }
	either     struct{ a, b filter }
	negation   struct{ a filter }
	compare    struct {
		field string // in lower case
		value string
		not   bool
		tag   string // tagValue only: the name of the tag, if the filter has one
	}
	text struct {
		field, part string
		match       func(s, part string) bool
	}
)

func (everything) matches(*Resource) bool   { return true }
func (f both) matches(r *Resource) bool     { return f.a.matches(r) && f.b.matches(r) }
func (f either) matches(r *Resource) bool   { return f.a.matches(r) || f.b.matches(r) }
func (f negation) matches(r *Resource) bool { return !f.a.matches(r) }

func (f compare) matches(r *Resource) bool {
	if f.tag != "" {
		for _, v := range fieldValues(r, "tag:"+f.tag) {
			if strings.EqualFold(v, f.value) {
				return !f.not
			}
		}
		return f.not
	}
	for _, v := range fieldValues(r, f.field) {
		if strings.EqualFold(v, f.value) {
			return !f.not
		}
	}
	return f.not
}

func (f text) matches(r *Resource) bool {
	for _, v := range fieldValues(r, f.field) {
		if f.match(strings.ToLower(v), strings.ToLower(f.part)) {
			return true
		}
	}
	return false
}

// fieldValues are what a field of a filter stands for; of a name that the kernel does not know, the property.
func fieldValues(r *Resource, field string) []string {
	id := r.ParsedID()
	switch field {
	case "resourcetype", "type":
		return []string{r.Type}
	case "resourcegroup":
		return []string{id.ResourceGroup()}
	case "name":
		return []string{r.Name}
	case "id":
		return []string{r.ID}
	case "location":
		return []string{r.Location()}
	case "provisioningstate":
		return []string{r.State}
	case "managedby":
		return []string{r.ManagedBy}
	}
	tags, _ := r.Body["tags"].(map[string]any)
	tag, isTag := strings.CutPrefix(field, "tag:")
	if isTag || field == "tagname" || field == "tagvalue" {
		var out []string
		for name, v := range tags {
			value, _ := v.(string)
			switch {
			case field == "tagname":
				out = append(out, name)
			case !isTag || strings.EqualFold(tag, name):
				out = append(out, value)
			}
		}
		return out
	}
	return property(r.Body, strings.Split(strings.TrimPrefix(strings.ReplaceAll(field, ".", "/"), "properties/"), "/"))
}

func property(body map[string]any, path []string) []string {
	var v any = body["properties"]
	for _, word := range path {
		m, _ := v.(map[string]any)
		v = nil
		for k, e := range m {
			if strings.EqualFold(k, word) {
				v = e
			}
		}
	}
	switch v := v.(type) {
	case nil, map[string]any, []any:
		return nil
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}
	default:
		return []string{fmt.Sprint(v)}
	}
}

// pair ties tagValue to tagName: `tagName eq 'a' and tagValue eq 'b'` means one tag.
func pair(a, b filter) filter {
	x, okX := a.(compare)
	y, okY := b.(compare)
	if okX && okY && !x.not && !y.not {
		if x.field == "tagvalue" {
			x, y = y, x
		}
		if x.field == "tagname" && y.field == "tagvalue" {
			y.tag = x.value
			return y
		}
	}
	return both{a, b}
}

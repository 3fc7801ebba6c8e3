package identity

import (
	"regexp"
	"strings"
)

// The clauses of $filter that clients send; text is quoted, and a quote in it doubled.
var (
	clauseEqual  = regexp.MustCompile(`(?i)^([a-z]+)\s+eq\s+'((?:[^']|'')*)'$`)
	clauseStarts = regexp.MustCompile(`(?i)^startswith\(\s*([a-z]+)\s*,\s*'((?:[^']|'')*)'\s*\)$`)
	clauseAny    = regexp.MustCompile(`(?i)^([a-z]+)/any\(\s*([a-z]+)\s*:\s*([a-z]+)\s+eq\s+'((?:[^']|'')*)'\s*\)$`)
)

// parseFilter reads clauses joined by `or` and `and`, where `and` binds tighter.
func parseFilter(filter string) (func(object) bool, error) {
	filter = strings.TrimSpace(filter)
	if filter == "" {
		return func(object) bool { return true }, nil
	}
	if len(filter) > 4096 {
		return nil, graphError{400, "Request_UnsupportedQuery", "The filter is longer than 4096 characters."}
	}
	var either [][]func(object) bool
	for _, group := range splitOutside(filter, " or ") {
		var all []func(object) bool
		for _, text := range splitOutside(group, " and ") {
			c, err := parseClause(strings.TrimSpace(text))
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		either = append(either, all)
	}
	return func(o object) bool {
		for _, all := range either {
			ok := true
			for _, c := range all {
				ok = ok && c(o)
			}
			if ok {
				return true
			}
		}
		return false
	}, nil
}

func parseClause(text string) (func(object) bool, error) {
	for strings.HasPrefix(text, "(") && strings.HasSuffix(text, ")") {
		text = strings.TrimSpace(text[1 : len(text)-1])
	}
	if m := clauseEqual.FindStringSubmatch(text); m != nil {
		want := unquote(m[2])
		return func(o object) bool { s, ok := o.text(m[1]); return ok && strings.EqualFold(s, want) }, nil
	}
	if m := clauseStarts.FindStringSubmatch(text); m != nil {
		want := strings.ToLower(unquote(m[2]))
		return func(o object) bool { s, ok := o.text(m[1]); return ok && strings.HasPrefix(strings.ToLower(s), want) }, nil
	}
	if m := clauseAny.FindStringSubmatch(text); m != nil && m[2] == m[3] {
		want := unquote(m[4])
		return func(o object) bool {
			list, _ := o[o.field(m[1])].([]string)
			for _, s := range list {
				if strings.EqualFold(s, want) {
					return true
				}
			}
			return false
		}, nil
	}
	return nil, graphError{400, "Request_UnsupportedQuery", "The filter clause \"" + clip(text) + "\" is not supported. Use name eq 'text', startswith(name,'text') or names/any(c:c eq 'text')."}
}

func unquote(s string) string { return strings.ReplaceAll(s, "''", "'") }

// field is the object's own spelling of a name.
func (o object) field(name string) string {
	for k := range o {
		if strings.EqualFold(k, name) {
			return k
		}
	}
	return name
}

func (o object) text(name string) (string, bool) {
	s, ok := o[o.field(name)].(string)
	return s, ok
}

// splitOutside cuts at a separator that is not inside quotes, in any case.
func splitOutside(s, sep string) []string {
	var out []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		if s[i] == '\'' {
			quoted = !quoted
		}
		if !quoted && i+len(sep) <= len(s) && strings.EqualFold(s[i:i+len(sep)], sep) {
			out = append(out, s[from:i])
			from = i + len(sep)
			i = from - 1
		}
	}
	return append(out, s[from:])
}

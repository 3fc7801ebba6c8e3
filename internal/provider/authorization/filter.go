package authorization

import (
	"regexp"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

var (
	clauseEqual = regexp.MustCompile(`(?i)^([a-z]+)\s+eq\s+'((?:[^']|'')*)'$`)
	clauseCall  = regexp.MustCompile(`(?i)^([a-z]+)\(\s*(?:'((?:[^']|'')*)')?\s*\)$`)
	conjunction = regexp.MustCompile(`(?i)\s+and\s+`)
)

// parseFilter reads `name eq 'text'` for the allowed names, atScope(),
// atScopeAndBelow() and assignedTo('id'), joined by and: name in lower case, text.
func parseFilter(filter string, names ...string) (map[string]string, error) {
	out := map[string]string{}
	if filter = strings.TrimSpace(filter); filter == "" {
		return out, nil
	}
	calls := []string{"atscope", "atscopeandbelow", "assignedto"}
	for _, clause := range conjunction.Split(filter, -1) {
		name, value := "", ""
		if m := clauseEqual.FindStringSubmatch(clause); m != nil {
			name, value = strings.ToLower(m[1]), m[2]
		} else if m := clauseCall.FindStringSubmatch(clause); m != nil && slices.Contains(calls, strings.ToLower(m[1])) {
			out[strings.ToLower(m[1])] = m[2]
			continue
		}
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return nil, arm.BadRequest("UnsupportedQuery", "The filter '%s' is not supported. Use %s eq 'value' or atScope(), joined by 'and'.", filter, strings.Join(names, " eq 'value', "))
		}
		out[name] = strings.ReplaceAll(value, "''", "'")
	}
	return out, nil
}

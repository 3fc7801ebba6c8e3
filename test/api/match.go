package api

import (
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strings"
)

// differences lists where got is not as wanted, each with its path.
func differences(path string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		return objectDifferences(path, w, got)
	case []any:
		return arrayDifferences(path, w, got)
	case string:
		return textDifferences(path, w, got)
	}
	if !reflect.DeepEqual(want, got) {
		return []string{fmt.Sprintf("%s is %v, want %v", path, got, want)}
	}
	return nil
}

func objectDifferences(path string, want map[string]any, got any) []string {
	g, ok := got.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s is %v, want an object", path, got)}
	}
	keys := make([]string, 0, len(want))
	for k := range want {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var out []string
	for _, k := range keys {
		v, there := g[k]
		switch {
		case want[k] == "<absent>" && there:
			out = append(out, fmt.Sprintf("%s.%s is there: %v", path, k, v))
		case want[k] == "<absent>":
		case !there:
			out = append(out, fmt.Sprintf("%s.%s is missing", path, k))
		default:
			out = append(out, differences(path+"."+k, want[k], v)...)
		}
	}
	return out
}

func arrayDifferences(path string, want []any, got any) []string {
	g, ok := got.([]any)
	if !ok {
		return []string{fmt.Sprintf("%s is %v, want an array", path, got)}
	}
	if len(want) > 0 && want[0] == "..." {
		var out []string
		for i, w := range want[1:] {
			found := false
			for _, e := range g {
				found = found || len(differences("", w, e)) == 0
			}
			if !found {
				out = append(out, fmt.Sprintf("%s does not contain the wanted element %d: %v", path, i, w))
			}
		}
		return out
	}
	if len(g) != len(want) {
		return []string{fmt.Sprintf("%s has %d elements, want %d", path, len(g), len(want))}
	}
	var out []string
	for i := range want {
		out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), want[i], g[i])...)
	}
	return out
}

func textDifferences(path, want string, got any) []string {
	g, ok := got.(string)
	switch {
	case want == "*" && ok && g != "":
		return nil
	case strings.HasPrefix(want, "~") && ok:
		re, err := regexp.Compile(want[1:])
		if err != nil {
			return []string{fmt.Sprintf("%s: %v", path, err)}
		}
		if re.MatchString(g) {
			return nil
		}
	case ok && g == want:
		return nil
	}
	return []string{fmt.Sprintf("%s is %v, want %s", path, got, want)}
}

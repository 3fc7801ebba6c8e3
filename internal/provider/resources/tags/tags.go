// Package tags lists the tags that a subscription's resources have.
// https://learn.microsoft.com/rest/api/resources/tags/list
package tags

import (
	"context"
	"sort"

	"cloister.dev/cloister/internal/arm"
)

// Routes lists the operations.
func Routes() []arm.Route {
	return []arm.Route{{
		Method: "GET", Pattern: "/subscriptions/{subscription}/tagNames", Permission: "Microsoft.Resources/subscriptions/tagNames/read", Serve: list,
	}}
}

// list counts, for every name and value, the resources that have it.
func list(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	base := "/subscriptions/" + r.Params["subscription"]
	all, err := r.Read.Below(ctx, base, "")
	if err != nil {
		return nil, err
	}
	counts := map[string]map[string]int{}
	for _, res := range all {
		tags, _ := res.Body["tags"].(map[string]any)
		for name, v := range tags {
			value, _ := v.(string)
			if counts[name] == nil {
				counts[name] = map[string]int{}
			}
			counts[name][value]++
		}
	}
	value := []any{}
	for _, name := range keys(counts) {
		total, values := 0, []any{}
		for _, v := range keys(counts[name]) {
			n := counts[name][v]
			total += n
			values = append(values, map[string]any{"id": base + "/tagNames/" + name + "/tagValues/" + v, "tagValue": v, "count": count(n)})
		}
		value = append(value, map[string]any{"id": base + "/tagNames/" + name, "tagName": name, "count": count(total), "values": values})
	}
	return &arm.Response{Body: map[string]any{"value": value}}, nil
}

func count(n int) map[string]any { return map[string]any{"type": "Total", "value": n} }

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

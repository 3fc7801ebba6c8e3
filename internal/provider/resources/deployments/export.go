package deployments

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/resourceid"
)

// computed are members that a provider sets, and that a template cannot.
var computed = []string{"id", "etag", "provisioningState", "resourceGuid", "uniqueId", "creationTime", "powerState", "managedBy", "systemData", "macAddress", "fqdn", "ipAddress"}

// exportGroup makes a template of what stands in a group.
// https://learn.microsoft.com/rest/api/resources/resource-groups/export-template
func (m *deployments) exportGroup(ctx context.Context, q *arm.RouteRequest) (*arm.Response, error) {
	group, err := q.Read.Get(ctx, "/subscriptions/"+q.Params["subscription"]+"/resourceGroups/"+q.Params["group"])
	if err != nil {
		return nil, err
	}
	all, err := q.Read.Below(ctx, group.ID, "")
	if err != nil {
		return nil, err
	}
	only := map[string]bool{}
	ids, _ := q.Body["resources"].([]any)
	for _, id := range ids {
		if s, ok := id.(string); ok && s != "*" {
			only[strings.ToLower(s)] = true
		}
	}
	versions := map[string]string{}
	for _, t := range m.Kernel.Types() {
		if len(t.APIVersions) > 0 {
			versions[t.Name] = t.APIVersions[0]
		}
	}
	e := exporter{kernel: m.Kernel, principal: q.Principal, versions: versions, ids: map[string]string{}}
	var chosen []*arm.Resource
	for _, r := range all {
		id := r.ParsedID()
		if r.Type == Name || !strings.EqualFold(id.Scope, group.ID) || len(only) > 0 && !only[id.Key()] {
			continue
		}
		chosen = append(chosen, r)
		e.ids[id.Key()] = expression(id)
	}
	resources := []any{}
	for _, r := range chosen {
		one, err := e.resource(ctx, r)
		if err != nil {
			return nil, err
		}
		if one != nil {
			resources = append(resources, one)
		}
	}
	return &arm.Response{Body: map[string]any{"template": map[string]any{
		"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",
		"parameters": map[string]any{}, "variables": map[string]any{}, "resources": resources,
	}}}, nil
}

type exporter struct {
	kernel    Kernel
	principal arm.Principal
	versions  map[string]string
	ids       map[string]string // resourceId(..) of what is exported, by id in lower case
}

// expression is an id as a template writes it.
func expression(id resourceid.ID) string {
	out := "resourceId('" + id.Type() + "'"
	for _, n := range id.Names {
		out += ", '" + strings.ReplaceAll(n, "'", "''") + "'"
	}
	return out + ")"
}

func (e exporter) resource(ctx context.Context, r *arm.Resource) (map[string]any, error) {
	doc, err := e.kernel.Show(ctx, e.principal, r.ID)
	var refused *arm.Error
	if errors.As(err, &refused) {
		return nil, nil // gone meanwhile, or not for this principal's eyes
	}
	if err != nil {
		return nil, err
	}
	id := r.ParsedID()
	out := map[string]any{"type": r.Type, "apiVersion": e.versions[r.Type], "name": strings.Join(id.Names, "/")}
	on := map[string]bool{}
	for _, name := range []string{"location", "tags", "kind", "sku", "plan", "zones", "identity", "properties"} {
		if v, ok := doc[name]; ok && v != nil {
			out[name] = e.plain(v, id.Key(), on)
		}
	}
	if properties, ok := out["properties"].(map[string]any); ok && len(properties) == 0 {
		delete(out, "properties")
	}
	if parent := id.Parent().Key(); e.ids[parent] != "" {
		on[parent] = true
	}
	if len(on) > 0 {
		var list []any
		for _, key := range slices.Sorted(maps.Keys(on)) {
			list = append(list, "["+e.ids[key]+"]")
		}
		out["dependsOn"] = list
	}
	return out, nil
}

// plain is a value without what a provider computes, with references to other resources as expressions.
func (e exporter) plain(v any, self string, on map[string]bool) any {
	switch v := v.(type) {
	case map[string]any:
		_, reference := v["id"]
		reference = reference && len(v) == 1
		out := map[string]any{}
		for name, one := range v {
			if !slices.Contains(computed, name) || name == "id" && reference {
				out[name] = e.plain(one, self, on)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, one := range v {
			out = append(out, e.plain(one, self, on))
		}
		return out
	case string:
		key := strings.ToLower(v)
		if id := e.ids[key]; id != "" {
			if key != self && !strings.HasPrefix(key, self+"/") {
				on[key] = true
			}
			return "[" + id + "]"
		}
		if strings.HasPrefix(v, "[") {
			return "[" + v
		}
	}
	return v
}

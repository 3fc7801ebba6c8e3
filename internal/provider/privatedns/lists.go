package privatedns

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/spec"
)

const zonePattern = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + kit.ZoneType + "/{zone}"

// Routes are the lists of record sets of every type, and the SOA record that each zone has.
func Routes() []arm.Route {
	var out []arm.Route
	for _, r := range []struct {
		path  string
		serve func(ctx context.Context, r *arm.RouteRequest, zone *arm.Resource) (*arm.Response, error)
	}{{"/ALL", serveAll}, {"/recordsets", serveAll}, {"/SOA", serveSOAs}, {"/SOA/@", serveSOA}} {
		word, _, _ := strings.Cut(r.path[1:], "/")
		out = append(out, arm.Route{
			Method: http.MethodGet, Pattern: zonePattern + r.path, Scope: zonePattern, Permission: kit.ZoneType + "/" + word + "/read",
			Serve: func(ctx context.Context, q *arm.RouteRequest) (*arm.Response, error) {
				zone, err := zoneOf(ctx, q)
				if err != nil {
					return nil, err
				}
				return r.serve(ctx, q, zone)
			},
		})
	}
	return out
}

func zoneOf(ctx context.Context, q *arm.RouteRequest) (*arm.Resource, error) {
	group := "/subscriptions/" + q.Params["subscription"] + "/resourceGroups/" + q.Params["group"]
	zone, err := q.Read.Get(ctx, group+"/providers/"+kit.ZoneType+"/"+q.Params["zone"])
	if arm.IsNotFound(err) {
		if _, err := q.Read.Get(ctx, group); arm.IsNotFound(err) {
			return nil, err
		}
	}
	return zone, err
}

// serveAll lists the record sets; $recordsetnamesuffix leaves those whose name ends with it.
func serveAll(ctx context.Context, q *arm.RouteRequest, zone *arm.Resource) (*arm.Response, error) {
	all, err := q.Read.Below(ctx, zone.ID, "")
	if err != nil {
		return nil, err
	}
	suffix := strings.ToLower(q.Query["$recordsetnamesuffix"])
	out := []map[string]any{}
	if suffix == "" || suffix == "@" {
		out = append(out, soaDocument(zone))
	}
	for _, r := range all {
		if !isRecords(r) || !strings.HasSuffix(strings.ToLower(r.Name), suffix) {
			continue
		}
		doc := map[string]any{"id": r.ID, "name": r.Name, "type": r.Type, "etag": r.ETag(), "properties": kit.Clone(r.Properties())}
		if err := viewRecords(ctx, r, doc); err != nil {
			return nil, err
		}
		out = append(out, doc)
	}
	slices.SortStableFunc(out, func(a, b map[string]any) int { return strings.Compare(a["name"].(string), b["name"].(string)) })
	return &arm.Response{Body: map[string]any{"value": out}}, nil
}

func serveSOAs(_ context.Context, _ *arm.RouteRequest, zone *arm.Resource) (*arm.Response, error) {
	return &arm.Response{Body: map[string]any{"value": []any{soaDocument(zone)}}}, nil
}

func serveSOA(_ context.Context, _ *arm.RouteRequest, zone *arm.Resource) (*arm.Response, error) {
	return &arm.Response{Body: soaDocument(zone)}, nil
}

// soaDocument is the record that every zone has; it cannot be changed.
func soaDocument(zone *arm.Resource) map[string]any {
	return map[string]any{
		"id": zone.ID + "/SOA/@", "name": "@", "type": soaType, "etag": zone.ETag(),
		"properties": map[string]any{
			"metadata": map[string]any{}, "ttl": defaultTTL, "fqdn": zone.Name + ".", "isAutoRegistered": false,
			"soaRecord": map[string]any{
				"host": spec.SOAHost, "email": spec.SOAMail, "serialNumber": spec.SOASerial, "refreshTime": spec.SOARefresh,
				"retryTime": spec.SOARetry, "expireTime": spec.SOAExpire, "minimumTtl": spec.SOAMinimum,
			},
		},
	}
}

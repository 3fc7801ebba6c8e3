package loadbalancers

import (
	"context"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/resourceid"
)

// Routes read the parts of a load balancer one by one; they are written with it.
func Routes(d kit.Deps) []arm.Route {
	const one = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + kit.BalancerType + "/{name}"
	var out []arm.Route
	for _, part := range parts {
		serve := func(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) { return servePart(ctx, r, part) }
		for _, pattern := range []string{one + "/" + part, one + "/" + part + "/{part}"} {
			out = append(out, arm.Route{Method: "GET", Pattern: pattern, Scope: one, Permission: kit.BalancerType + "/" + part + "/read", Serve: serve})
		}
	}
	return out
}

func servePart(ctx context.Context, r *arm.RouteRequest, part string) (*arm.Response, error) {
	group := resourceid.MustParse("/subscriptions/" + r.Params["subscription"] + "/resourceGroups/" + r.Params["group"])
	res, err := r.Read.Get(ctx, group.Resource(kit.BalancerType, r.Params["name"]).String())
	if err != nil {
		return nil, err
	}
	props := kit.Doc(kit.Clone(map[string]any(kit.Props(res))).(map[string]any))
	show(res, props)
	wanted, single := r.Params["part"]
	if !single {
		return &arm.Response{Body: map[string]any{"value": props.List(part)}}, nil
	}
	for _, e := range props.Docs(part) {
		if strings.EqualFold(e.Str("name"), wanted) {
			return &arm.Response{Body: e}, nil
		}
	}
	return nil, arm.NotFound("NotFound", "The load balancer '%s' has no '%s' in %s.", res.Name, wanted, part)
}

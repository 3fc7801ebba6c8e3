package deployments

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/template"
)

// old is the path that the CLI asks for operations at.
const (
	base = "/{scope...}/providers/Microsoft.Resources/deployments/{name}"
	old  = oldGroup + "/deployments/{name}"

	oldGroup = "/subscriptions/{subscription}/resourceGroups/{group}"
)

func (m *deployments) routes() []arm.Route {
	return []arm.Route{
		{Method: http.MethodPost, Pattern: base + "/validate", Scope: "/{scope...}", Permission: Name + "/validate/action", Serve: m.validate},
		{Method: http.MethodPost, Pattern: base + "/whatIf", Scope: "/{scope...}", Permission: Name + "/whatIf/action", Serve: m.whatIf},
		{Method: http.MethodGet, Pattern: base + "/operations", Scope: "/{scope...}", Permission: Name + "/operations/read", Serve: m.operations},
		{Method: http.MethodGet, Pattern: base + "/operations/{operation}", Scope: "/{scope...}", Permission: Name + "/operations/read", Serve: m.operations},
		{Method: http.MethodGet, Pattern: old + "/operations", Scope: oldGroup, Permission: Name + "/operations/read", Serve: m.operations},
		{Method: http.MethodGet, Pattern: old + "/operations/{operation}", Scope: oldGroup, Permission: Name + "/operations/read", Serve: m.operations},
		{
			Method: http.MethodPost, Pattern: "/subscriptions/{subscription}/resourceGroups/{group}/exportTemplate", Scope: "/subscriptions/{subscription}/resourceGroups/{group}",
			Permission: "Microsoft.Resources/subscriptions/resourceGroups/exportTemplate/action", Serve: m.exportGroup,
		},
	}
}

// asked is the deployment that a validate or whatIf is about; it need not be there.
func (m *deployments) asked(q *arm.RouteRequest) (order, error) {
	id, err := resourceid.Parse(q.Params["scope"] + "/providers/" + Name + "/" + q.Params["name"])
	if err != nil {
		return order{}, arm.BadRequest("InvalidResourceId", "%v", err)
	}
	if scope := strings.Count(id.Scope, "/"); scope != 0 && scope != 2 && scope != 4 {
		return order{}, arm.NotFound("InvalidResourceId", "A deployment stands in a resource group, a subscription or the tenant, not in '%s'.", id.Scope)
	}
	o, err := m.ordered(id, q.Principal, q.Body, q.Text)
	if err != nil {
		return o, err
	}
	_, err = modeOf(o)
	return o, err
}

// validate says what a deployment would be refused for, and makes nothing. A mistake in the template is an answer, with
// 200 and "error", as the API documents it: on a 400, clients for Python and Go lose the text.
// https://learn.microsoft.com/rest/api/resources/deployments/validate
func (m *deployments) validate(ctx context.Context, q *arm.RouteRequest) (*arm.Response, error) {
	o, err := m.asked(q)
	if err != nil {
		return nil, err
	}
	t, err := m.plan(ctx, o)
	var wrong *arm.Error
	if errors.As(err, &wrong) && wrong.Status == http.StatusBadRequest {
		return &arm.Response{Body: map[string]any{"error": wrong}}, nil
	}
	if err != nil {
		return nil, err
	}
	mode, err := modeOf(o)
	if err != nil {
		return nil, err
	}
	validated := []any{}
	for _, r := range t.Resources {
		if !r.Skipped && !r.Existing {
			validated = append(validated, map[string]any{"id": r.ID})
		}
	}
	return &arm.Response{Body: map[string]any{
		"id": o.id.String(), "name": o.id.Name(), "type": Name, "location": o.location,
		"properties": map[string]any{
			"templateHash": hash(o.properties["template"]), "parameters": shownParameters(t), "mode": mode, "provisioningState": arm.Succeeded, "timestamp": m.Now().UTC().Format(time.RFC3339Nano),
			"duration": "PT0S", "correlationId": uuid.NewString(), "providers": providers(t), "dependencies": dependencies(t), "validatedResources": validated,
		},
	}}, nil
}

// operations lists what a deployment did with each resource.
// https://learn.microsoft.com/rest/api/resources/deployment-operations/list
func (m *deployments) operations(ctx context.Context, q *arm.RouteRequest) (*arm.Response, error) {
	scope := q.Params["scope"]
	if group := q.Params["group"]; group != "" {
		scope = "/subscriptions/" + q.Params["subscription"] + "/resourceGroups/" + group
	}
	id := scope + "/providers/" + Name + "/" + q.Params["name"]
	r, err := q.Read.Get(ctx, id)
	if arm.IsNotFound(err) {
		return nil, arm.NotFound("DeploymentNotFound", "Deployment '%s' could not be found.", q.Params["name"])
	}
	if err != nil {
		return nil, err
	}
	all, err := readSteps(r)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, key := range slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if c := all[a].Began.Compare(all[b].Began); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	}) {
		if all[key].State == stepSkipped {
			continue
		}
		one := m.operation(r, all[key])
		if one["operationId"] == q.Params["operation"] {
			return &arm.Response{Body: one}, nil
		}
		list = append(list, one)
	}
	if q.Params["operation"] != "" {
		return nil, arm.NotFound("DeploymentOperationNotFound", "The deployment '%s' has no operation '%s'.", r.Name, q.Params["operation"])
	}
	return &arm.Response{Body: map[string]any{"value": list}}, nil
}

// operationSpace is the name space of operations' ids.
var operationSpace = uuid.MustParse("6f1c1f0e-6d0a-5d8e-9d57-3d2b0f3a9a51")

func (m *deployments) operation(r *arm.Resource, s *step) map[string]any {
	id := strings.ToUpper(strings.ReplaceAll(uuid.NewSHA1(operationSpace, []byte(strings.ToLower(r.ID+s.ID))).String(), "-", ""))[:16]
	kind, code := "Create", "OK"
	switch {
	case s.Delete:
		kind = "Delete"
	case s.Read:
		kind = "Read"
	}
	switch s.State {
	case stepRunning:
		code = "Accepted"
	case stepFailed:
		code = "Conflict"
		if s.Error != nil && s.Error.Status != 0 {
			code = strings.ReplaceAll(http.StatusText(s.Error.Status), " ", "")
		}
	}
	ended := s.Ended
	if ended.IsZero() {
		ended = m.Now().UTC()
	}
	properties := map[string]any{
		"provisioningOperation": kind, "provisioningState": s.State, "timestamp": ended.Format(time.RFC3339Nano), "duration": iso(ended.Sub(s.Began)),
		"trackingId": uuid.NewSHA1(operationSpace, []byte(s.ID)).String(), "statusCode": code,
		"targetResource": map[string]any{"id": s.ID, "resourceType": s.Type, "resourceName": s.Name},
	}
	if s.Error != nil {
		properties["statusMessage"] = map[string]any{"status": arm.Failed, "error": s.Error}
	}
	return map[string]any{"id": r.ID + "/operations/" + id, "operationId": id, "properties": properties}
}

// whatIf says what a deployment would change.
// https://learn.microsoft.com/rest/api/resources/deployments/what-if
func (m *deployments) whatIf(ctx context.Context, q *arm.RouteRequest) (*arm.Response, error) {
	o, err := m.asked(q)
	if err != nil {
		return nil, err
	}
	t, err := m.plan(ctx, o)
	if err != nil {
		return nil, err
	}
	settings, _ := o.properties["whatIfSettings"].(map[string]any)
	full := settings["resultFormat"] != "ResourceIdOnly"
	changes, err := m.changes(ctx, t, o, full)
	if err != nil {
		return nil, err
	}
	return &arm.Response{Body: map[string]any{"status": arm.Succeeded, "properties": map[string]any{"correlationId": uuid.NewString(), "changes": changes}}}, nil
}

func (m *deployments) changes(ctx context.Context, t *template.Template, o order, full bool) ([]any, error) {
	out := []any{}
	wanted := map[string]bool{}
	for _, r := range t.Resources {
		if r.Existing || r.Skipped {
			continue
		}
		wanted[strings.ToLower(r.ID)] = true
		change, err := m.change(ctx, t, r, o, full)
		if err != nil {
			return nil, err
		}
		out = append(out, change)
	}
	group := o.id.Group()
	if group.IsZero() {
		return out, nil
	}
	rest, err := m.Kernel.Resources().Below(ctx, group.String(), "")
	if err != nil {
		return nil, err
	}
	mode, err := modeOf(o)
	if err != nil {
		return nil, err
	}
	for _, r := range rest {
		id := r.ParsedID()
		if len(id.Names) > 1 || r.Type == Name || !strings.EqualFold(id.Scope, group.String()) || wanted[id.Key()] {
			continue
		}
		before, err := m.Kernel.Show(ctx, o.principal, r.ID)
		var e *arm.Error
		if errors.As(err, &e) {
			continue // gone meanwhile, or not for this principal's eyes
		}
		if err != nil {
			return nil, err
		}
		one := map[string]any{"resourceId": r.ID, "changeType": "Ignore"}
		if mode == "Complete" && r.ManagedBy == "" {
			one["changeType"] = "Delete"
		}
		if full {
			one["before"] = before
			if one["changeType"] == "Ignore" {
				one["after"] = before
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// change is what happens to one resource of the template.
func (m *deployments) change(ctx context.Context, t *template.Template, r *template.Resource, o order, full bool) (map[string]any, error) {
	body, _, err := t.Body(ctx, r, nil)
	if template.NeedsRuntime(err) {
		return map[string]any{"resourceId": r.ID, "changeType": "Unsupported", "unsupportedReason": "What it will be depends on other resources of the deployment (reference, list..)."}, nil
	}
	if err != nil {
		return nil, invalid(err, o.text)
	}
	after := maps.Clone(body)
	after["id"], after["type"], after["name"], after["apiVersion"] = r.ID, r.Type, r.Name[strings.LastIndex(r.Name, "/")+1:], r.APIVersion
	one := map[string]any{"resourceId": r.ID, "changeType": "Create"}
	before, err := m.Kernel.Show(ctx, o.principal, r.ID)
	switch {
	case arm.IsNotFound(err):
		if full {
			one["after"] = after
		}
		return one, nil
	case err != nil:
		return nil, err
	}
	delta := differences(before, body, "")
	one["changeType"] = "NoChange"
	if len(delta) > 0 {
		one["changeType"] = "Modify"
	}
	if full {
		one["before"], one["after"], one["delta"] = before, overlay(before, after), delta
	}
	return one, nil
}

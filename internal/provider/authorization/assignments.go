package authorization

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/identity"
)

type assignments struct{ directory *identity.Directory }

// properties of an assignment as the client sent them.
type properties struct{ role, principal, kind, condition string }

func read(r *arm.Resource) properties {
	p := r.Properties()
	text := func(name string) string { s, _ := p[name].(string); return s }
	return properties{text("roleDefinitionId"), text("principalId"), text("principalType"), text("condition")}
}

// guidOf is the last segment of a role definition's id.
func guidOf(role string) string { return strings.ToLower(role[strings.LastIndexByte(role, '/')+1:]) }

var kinds = []string{"User", "Group", "ServicePrincipal", "ForeignGroup", "Device"}

// admit checks a new assignment. An assignment is never changed, only made and deleted.
func (a *assignments) admit(ctx context.Context, w *arm.Write) error {
	now := read(w.New)
	scope := w.ID.Scope
	if scope == "" {
		scope = "/"
	}
	if now.condition != "" {
		w.Fail("RoleAssignmentConditionNotSupported", "properties.condition", "Conditions on role assignments are not evaluated by this service. Assign a role that allows less instead.")
	}
	if now.role == "" {
		w.Fail("InvalidRoleDefinitionId", "properties.roleDefinitionId", "A role assignment needs a roleDefinitionId, like '/subscriptions/{id}/providers/Microsoft.Authorization/roleDefinitions/%s'.", identity.RoleReader)
	}
	if !guid.MatchString(now.principal) {
		w.Fail("InvalidPrincipalId", "properties.principalId", "The principal ID '%s' is not valid. Principal ID must be a GUID, the object id.", now.principal)
	}
	if now.kind != "" && !slices.Contains(kinds, now.kind) {
		w.Fail("InvalidPrincipalType", "properties.principalType", "The principal type '%s' is not one of %s.", now.kind, strings.Join(kinds, ", "))
	}
	if len(w.Problems) > 0 {
		return nil
	}
	role, ok, err := findRole(ctx, w.Read, guidOf(now.role), scope)
	if err != nil {
		return err
	}
	if !ok {
		return arm.BadRequest("RoleDefinitionDoesNotExist", "The specified role definition with ID '%s' does not exist. 'az role definition list' shows those that there are.", guidOf(now.role)).On("properties.roleDefinitionId")
	}
	if !slices.ContainsFunc(role.Scopes, func(s string) bool { return within(scope, s) }) {
		return arm.BadRequest("RoleDefinitionNotAssignable", "The role '%s' cannot be assigned at scope '%s', only at %s.", role.Name, scope, strings.Join(role.Scopes, ", ")).On("properties.roleDefinitionId")
	}
	if w.Old != nil {
		return update(w, now)
	}
	if err := a.taken(ctx, w, now, scope); err != nil {
		return err
	}
	kind, err := a.kind(ctx, now)
	if err != nil {
		return err
	}
	a.complete(w, role, kind, scope)
	return nil
}

// update accepts the same again; Azure refuses every change.
func update(w *arm.Write, now properties) error {
	old := read(w.Old)
	if !strings.EqualFold(old.principal, now.principal) || guidOf(old.role) != guidOf(now.role) {
		return arm.BadRequest("RoleAssignmentUpdateNotPermitted", "Tenant ID, application ID, principal ID, and scope are not allowed to be updated. Delete the role assignment and make a new one.")
	}
	for name, value := range w.Old.Properties() {
		if name != "description" {
			w.New.Properties()[name] = value
		}
	}
	return nil
}

// taken refuses a second assignment of the same role to the same principal at the same scope.
func (a *assignments) taken(ctx context.Context, w *arm.Write, now properties, scope string) error {
	all, err := w.Read.Below(ctx, resourceBelow(scope, identity.TypeAssignment), identity.TypeAssignment)
	if err != nil {
		return err
	}
	for _, other := range all {
		if o := read(other); strings.EqualFold(o.principal, now.principal) && guidOf(o.role) == guidOf(now.role) {
			return arm.Conflict("RoleAssignmentExists", "The role assignment already exists. The ID of the existing role assignment is %s.", strings.ReplaceAll(other.Name, "-", ""))
		}
	}
	return nil
}

// kind is the principal's type. A principal that the directory does not know
// (yet) is accepted when the client names its type, as in Azure.
func (a *assignments) kind(ctx context.Context, now properties) (string, error) {
	p, err := a.directory.Principal(ctx, now.principal)
	switch {
	case errors.Is(err, identity.ErrUnknown) && now.kind != "":
		return now.kind, nil
	case errors.Is(err, identity.ErrUnknown):
		return "", arm.BadRequest("PrincipalNotFound", "Principal %s does not exist in the directory. If it was just made, set the 'principalType' property to its type, such as 'ServicePrincipal'.", strings.ReplaceAll(now.principal, "-", "")).On("properties.principalId")
	case err != nil:
		return "", err
	}
	kind := p.Kind
	if kind == identity.KindManagedIdentity {
		kind = identity.KindServicePrincipal
	}
	if now.kind != "" && now.kind != kind {
		return "", arm.BadRequest("UnmatchedPrincipalType", "The PrincipalId '%s' has type '%s', which is different from specified PrincipalType '%s'.", strings.ReplaceAll(now.principal, "-", ""), kind, now.kind).On("properties.principalType")
	}
	return kind, nil
}

// complete sets what the service knows. Whatever else the client sent stays.
func (a *assignments) complete(w *arm.Write, role identity.Role, kind, scope string) {
	sent := w.New.Properties()
	principal, _ := sent["principalId"].(string)
	made := identity.NewAssignment(strings.TrimSuffix(scope, "/"), w.ID.Name(), role.ID, strings.ToLower(principal), kind, time.Now())
	for name, value := range made.Properties() {
		sent[name] = value
	}
	sent["createdBy"], sent["updatedBy"] = w.Principal.ObjectID, w.Principal.ObjectID
	for _, name := range []string{"condition", "conditionVersion", "delegatedManagedIdentityResourceId", "description"} {
		if sent[name] == "" || sent[name] == nil {
			sent[name] = nil
		}
	}
}

// listAssignments shows those at, above and below the scope; with atScope(), at and above.
func listAssignments(auth Authorizer) func(context.Context, *arm.RouteRequest) (*arm.Response, error) {
	return func(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
		scope := scopeOf(r.Params)
		filter, err := parseFilter(r.Query["$filter"], "principalId")
		if err != nil {
			return nil, err
		}
		found, err := gather(ctx, r.Read, scope, filter)
		if err != nil {
			return nil, err
		}
		holders := map[string]bool{}
		principal, byPrincipal := filter["principalid"]
		if to, ok := filter["assignedto"]; ok {
			principal, byPrincipal = to, true
			for _, g := range auth.Groups(to) {
				holders[strings.ToLower(g)] = true
			}
		}
		holders[strings.ToLower(principal)] = true
		value := []any{}
		for _, a := range found {
			if !byPrincipal || holders[strings.ToLower(read(a).principal)] {
				value = append(value, show(a, scope))
			}
		}
		return &arm.Response{Body: map[string]any{"value": value}}, nil
	}
}

// show renders an assignment as seen from a scope: an inherited one of a
// built-in role names the role as roleDefinitions there does, by which az joins the two.
func show(a *arm.Resource, scope string) map[string]any {
	props := maps.Clone(a.Properties())
	if r, ok := builtIn(guidOf(read(a).role)); ok {
		props["roleDefinitionId"] = showRole(r, scope)["id"]
	}
	return map[string]any{"id": a.ID, "name": a.Name, "type": a.Type, "properties": props}
}

func gather(ctx context.Context, rd *arm.Resources, scope string, filter map[string]string) ([]*arm.Resource, error) {
	var out []*arm.Resource
	for _, at := range above(scope) {
		if _, only := filter["atscopeandbelow"]; only && !samePlace(at, scope) {
			continue
		}
		all, err := rd.Below(ctx, resourceBelow(at, identity.TypeAssignment), identity.TypeAssignment)
		if err != nil {
			return nil, err
		}
		out = append(out, all...)
	}
	if _, only := filter["atscope"]; only {
		return out, nil
	}
	all, err := rd.Below(ctx, scope, identity.TypeAssignment)
	for _, a := range all {
		if !samePlace(a.ParsedID().Scope, scope) {
			out = append(out, a)
		}
	}
	return out, err
}

// listPermissions shows what the caller may do at the scope.
func listPermissions(auth Authorizer) func(context.Context, *arm.RouteRequest) (*arm.Response, error) {
	return func(_ context.Context, r *arm.RouteRequest) (*arm.Response, error) {
		value := auth.Permissions(r.Principal.ObjectID, scopeOf(r.Params))
		if value == nil {
			value = []identity.Permission{}
		}
		return &arm.Response{Body: map[string]any{"value": value}}, nil
	}
}

package authorization

import (
	"context"
	"errors"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/resourceid"
)

// findRole reads a role by GUID: built-in, or custom on one of the scopes above.
func findRole(ctx context.Context, read *arm.Resources, id, scope string) (identity.Role, bool, error) {
	if r, ok := builtIn(id); ok {
		return r, true, nil
	}
	if !guid.MatchString(id) {
		return identity.Role{}, false, nil
	}
	custom, err := customRoles(ctx, read, scope)
	for _, r := range custom {
		if strings.EqualFold(r.ID, id) {
			return r, true, nil
		}
	}
	return identity.Role{}, false, err
}

// customRoles lists the custom roles that can be assigned on the scope.
func customRoles(ctx context.Context, read *arm.Resources, scope string) ([]identity.Role, error) {
	var out []identity.Role
	for _, at := range above(scope) {
		all, err := read.Below(ctx, resourceBelow(at, identity.TypeRole), identity.TypeRole)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			role, err := identity.CustomRole(r)
			if err != nil {
				return nil, err
			}
			out = append(out, role)
		}
	}
	return out, nil
}

// showRole renders a role as seen from a scope: az compares its id with the one in assignments.
func showRole(r identity.Role, scope string) map[string]any {
	prefix := ""
	if id, err := resourceid.Parse(scope); err == nil && id.Subscription() != "" {
		prefix = "/subscriptions/" + id.Subscription()
	}
	kind := "BuiltInRole"
	if r.Custom {
		kind = "CustomRole"
	}
	return map[string]any{
		"id": prefix + "/providers/" + identity.TypeRole + "/" + r.ID, "name": r.ID, "type": identity.TypeRole,
		"properties": map[string]any{
			"roleName": r.Name, "type": kind, "description": r.Description, "assignableScopes": r.Scopes, "permissions": r.Permissions,
		},
	}
}

func listRoles(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	scope := scopeOf(r.Params)
	keep, err := roleFilter(r.Query["$filter"])
	if err != nil {
		return nil, err
	}
	var custom []identity.Role
	if r.Can(ctx, identity.TypeRole+"/read", scope) {
		if custom, err = customRoles(ctx, r.Read, scope); err != nil {
			return nil, err
		}
	}
	value := []any{}
	for _, role := range append(append([]identity.Role{}, identity.BuiltInRoles()...), custom...) {
		if keep(role) {
			value = append(value, showRole(role, scope))
		}
	}
	return &arm.Response{Body: map[string]any{"value": value}}, nil
}

func getRole(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	scope, id := scopeOf(r.Params), r.Params["role"]
	role, ok, err := findRole(ctx, r.Read, id, scope)
	if err != nil {
		return nil, err
	}
	if !ok || role.Custom && !r.Can(ctx, identity.TypeRole+"/read", scope) {
		return nil, arm.NotFound("RoleDefinitionDoesNotExist", "The specified role definition with ID '%s' does not exist. 'az role definition list' shows those that there are.", id)
	}
	return &arm.Response{Body: showRole(role, scope)}, nil
}

// roleFilter reads "roleName eq 'Reader'", "type eq 'CustomRole'" and atScopeAndBelow(), joined by and.
func roleFilter(filter string) (func(identity.Role) bool, error) {
	all, err := parseFilter(filter, "roleName", "type")
	if err != nil {
		return nil, err
	}
	return func(r identity.Role) bool {
		kind := "BuiltInRole"
		if r.Custom {
			kind = "CustomRole"
		}
		name, byName := all["rolename"]
		typ, byType := all["type"]
		return (!byName || strings.EqualFold(name, r.Name)) && (!byType || strings.EqualFold(typ, kind))
	}, nil
}

// admitRole checks a custom role.
func admitRole(ctx context.Context, w *arm.Write) error {
	if _, ok := builtIn(w.ID.Name()); ok {
		w.Fail("RoleDefinitionUpdateNotAllowed", "name", "The role '%s' is built in and cannot be changed. Use another GUID.", w.ID.Name())
		return nil
	}
	role, err := identity.CustomRole(w.New)
	if err != nil {
		return arm.BadRequest("InvalidRoleDefinition", "%v", errors.Unwrap(err))
	}
	if role.Name == "" {
		w.Fail("RoleDefinitionNameNullOrEmpty", "properties.roleName", "A role definition needs a roleName.")
	}
	if len(role.Permissions) == 0 {
		w.Fail("InvalidRoleDefinition", "properties.permissions", "A role definition needs permissions with actions.")
	}
	if len(role.Scopes) == 0 {
		w.Fail("MissingAssignableScopes", "properties.assignableScopes", "A role definition needs assignableScopes, like the subscription's id.")
	}
	taken, err := customRoles(ctx, w.Read, w.ID.Scope)
	if err != nil {
		return err
	}
	for _, other := range append(taken, identity.BuiltInRoles()...) {
		if strings.EqualFold(other.Name, role.Name) && !strings.EqualFold(other.ID, w.ID.Name()) {
			w.Fail("RoleDefinitionWithSameNameExists", "properties.roleName", "A role with the name '%s' exists: '%s'. Choose another name.", role.Name, other.ID)
		}
	}
	for _, scope := range role.Scopes {
		if id, err := resourceid.Parse(scope); err != nil || id.Subscription() == "" {
			w.Fail("InvalidAssignableScope", "properties.assignableScopes", "'%s' is not the id of a subscription, a group or a resource.", scope)
			continue
		}
		if err := w.Allowed(ctx, identity.TypeRole+"/write", scope); err != nil {
			return err
		}
	}
	w.New.Properties()["type"] = "CustomRole"
	return nil
}

func builtIn(id string) (identity.Role, bool) {
	for _, r := range identity.BuiltInRoles() {
		if strings.EqualFold(r.ID, id) {
			return r, true
		}
	}
	return identity.Role{}, false
}

// releaseRole keeps a role that somebody holds.
func releaseRole(ctx context.Context, w *arm.Write) error {
	if w.Cascade {
		return nil
	}
	all, err := w.Read.Below(ctx, "/", identity.TypeAssignment)
	if err != nil {
		return err
	}
	for _, a := range all {
		if id, _ := a.Properties()["roleDefinitionId"].(string); strings.EqualFold(id[strings.LastIndexByte(id, '/')+1:], w.ID.Name()) {
			return arm.BadRequest("RoleDefinitionHasAssignments", "There are existing role assignments referencing role '%s'. Delete them first: %s", w.ID.Name(), a.ID)
		}
	}
	return nil
}

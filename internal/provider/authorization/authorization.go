// Package authorization is Microsoft.Authorization: role definitions, role
// assignments and permissions, on any scope. Decisions are made by package
// identity, which reads the same resources.
// https://learn.microsoft.com/rest/api/authorization
package authorization

import (
	"regexp"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/resourceid"
)

var (
	guid     = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	versions = []string{"2022-05-01-preview", "2022-04-01", "2020-04-01-preview", "2018-07-01", "2018-01-01-preview", "2015-07-01"}
)

// Authorizer is what permissions and `assignedTo` are answered from: *identity.Authorizer.
type Authorizer interface {
	Permissions(objectID, scope string) []identity.Permission
	Groups(objectID string) []string
}

// Types lists the resource types of the namespace.
func Types(d *identity.Directory) []arm.Type {
	a := &assignments{directory: d}
	return []arm.Type{{
		Name: identity.TypeAssignment, APIVersions: versions, Names: guid, NameRule: "a GUID, like 4fec4850-8934-4065-b3ce-e98916bdb2bb",
		Extension: true, Admit: a.admit,
	}, {
		Name: identity.TypeRole, APIVersions: versions, Names: guid, NameRule: "a GUID, like 4fec4850-8934-4065-b3ce-e98916bdb2bb",
		Extension: true, Admit: admitRole, Release: releaseRole,
	}}
}

// Routes lists the reads, which see more than the resources at one scope:
// built-in roles, and assignments above and below.
func Routes(auth Authorizer) []arm.Route {
	var out []arm.Route
	for _, scope := range scopes() {
		ns := scope + "/providers/Microsoft.Authorization/"
		at := scope
		if at == "" {
			at = "/"
		}
		out = append(out,
			arm.Route{Method: "GET", Pattern: ns + "roleDefinitions", Permission: identity.TypeRole + "/read", Scope: at, Serve: listRoles},
			arm.Route{Method: "GET", Pattern: ns + "roleDefinitions/{role}", Permission: identity.TypeRole + "/read", Scope: at, Serve: getRole},
			arm.Route{Method: "GET", Pattern: ns + "roleAssignments", Permission: identity.TypeAssignment + "/read", Scope: at, Serve: listAssignments(auth)},
			arm.Route{Method: "GET", Pattern: ns + "permissions", Permission: "Microsoft.Authorization/permissions/read", Scope: at, Serve: listPermissions(auth)},
		)
	}
	return out
}

// scopes are patterns of everything that a role can be assigned on: the tenant,
// subscriptions, groups, and resources up to four types deep.
func scopes() []string {
	const group = "/subscriptions/{subscription}/resourceGroups/{group}"
	out := []string{"", "/subscriptions/{subscription}", group}
	for _, parent := range []string{"/subscriptions/{subscription}", group} {
		s := parent + "/providers/{namespace}"
		for _, n := range []string{"1", "2", "3", "4"} {
			s += "/{type" + n + "}/{name" + n + "}"
			out = append(out, s)
		}
	}
	return out
}

// scopeOf is the scope in a route's parameters, "/" for the tenant.
func scopeOf(p map[string]string) string {
	var b strings.Builder
	if s := p["subscription"]; s != "" {
		b.WriteString("/subscriptions/" + s)
	}
	if g := p["group"]; g != "" {
		b.WriteString("/resourceGroups/" + g)
	}
	if n := p["namespace"]; n != "" {
		b.WriteString("/providers/" + n)
	}
	for _, n := range []string{"1", "2", "3", "4"} {
		if t := p["type"+n]; t != "" {
			b.WriteString("/" + t + "/" + p["name"+n])
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// above is the scope and all that contain it, from the inside out; the last is "/".
func above(scope string) []string {
	out := []string{scope}
	for id, err := resourceid.Parse(scope); err == nil && id.String() != "/"; {
		id = id.Parent()
		out = append(out, id.String())
	}
	return slices.Compact(out)
}

// resourceBelow is the prefix of ids of a type's resources that are on the scope itself.
func resourceBelow(scope, typ string) string {
	return strings.TrimSuffix(scope, "/") + "/providers/" + typ
}

// samePlace compares two scopes.
func samePlace(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/"))
}

// within tells whether the scope is the place, or in it.
func within(scope, place string) bool {
	s, p := strings.ToLower(strings.TrimSuffix(scope, "/")), strings.ToLower(strings.TrimSuffix(place, "/"))
	return s == p || strings.HasPrefix(s, p+"/")
}

// Package authorization is Microsoft.Authorization: role definitions, role
// assignments and permissions, on any scope. Decisions are made by package
// identity, which reads the same resources.
// https://learn.microsoft.com/rest/api/authorization
package authorization

import (
	"context"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/identity"
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
func Types(d *identity.Directory) []*arm.Type {
	a := &assignments{directory: d}
	return []*arm.Type{{
		Name: identity.TypeAssignment, APIVersions: versions, Names: guid, NameRule: "a GUID, like 4fec4850-8934-4065-b3ce-e98916bdb2bb",
		Extension: true, Admit: a.admit, View: view, ViewAlone: true,
	}, {
		Name: identity.TypeRole, APIVersions: versions, Names: guid, NameRule: "a GUID, like 4fec4850-8934-4065-b3ce-e98916bdb2bb",
		Extension: true, Admit: admitRole, Release: releaseRole, View: view, ViewAlone: true,
	}, lockType()}
}

// view leaves out what these resources do not have.
func view(_ context.Context, _ *arm.Resource, doc map[string]any) error {
	delete(doc, "etag")
	if p, ok := doc["properties"].(map[string]any); ok {
		delete(p, "provisioningState")
	}
	return nil
}

// Routes lists the reads, which see more than the resources at one scope:
// built-in roles, and assignments above and below. What roles there are, and
// what the caller itself may do, anybody may ask who is signed in.
func Routes(auth Authorizer) []arm.Route {
	const ns = "/{scope...}/providers/Microsoft.Authorization/"
	return []arm.Route{
		{Method: "GET", Pattern: ns + "roleDefinitions", Serve: listRoles},
		{Method: "GET", Pattern: ns + "roleDefinitions/{role}", Serve: getRole},
		{Method: "GET", Pattern: ns + "roleAssignments", Permission: identity.TypeAssignment + "/read", Serve: listAssignments(auth)},
		{Method: "GET", Pattern: ns + "permissions", Serve: listPermissions(auth)},
	}
}

// scopeOf is the scope in a route's parameters, "/" for the tenant.
func scopeOf(p map[string]string) string {
	if p["scope"] == "" {
		return "/"
	}
	return p["scope"]
}

// above is the scope and all that contain it, from the inside out; the last is
// "/". Names and types come in pairs; a namespace is no scope. The scope is
// what a client sent, so nothing is taken for granted about it.
func above(scope string) []string {
	var segs []string
	for seg := range strings.SplitSeq(scope, "/") {
		if seg != "" {
			segs = append(segs, seg)
		}
	}
	var out []string
	for n := len(segs); n > 0; n-- {
		if n != len(segs) && (n%2 == 1 || strings.EqualFold(segs[n-2], "providers")) {
			continue
		}
		out = append(out, "/"+strings.Join(segs[:n], "/"))
	}
	return append(out, "/")
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

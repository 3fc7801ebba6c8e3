package identity

import (
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
)

// Types of the resources that access control is made of.
const (
	TypeAssignment = "Microsoft.Authorization/roleAssignments"
	TypeRole       = "Microsoft.Authorization/roleDefinitions"
)

// Role is what somebody may do who holds it: a role definition.
type Role struct {
	ID          string // GUID
	Name        string
	Description string
	Custom      bool
	Scopes      []string // where it can be assigned
	Permissions []Permission
}

// Permission allows Actions without NotActions; a role's permissions add up.
// A star stands for any text: https://learn.microsoft.com/azure/role-based-access-control/role-definitions
type Permission struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions"`
	NotDataActions []string `json:"notDataActions"`
}

// NewAssignment is a role assignment as an ARM resource: role is the GUID of a
// built-in role, scope an id or "" for the tenant root.
func NewAssignment(scope, name, role, principalID, kind string, now time.Time) *arm.Resource {
	subscription := ""
	if parts := strings.SplitN(scope, "/", 4); len(parts) > 2 {
		subscription = "/subscriptions/" + parts[2]
	}
	if kind == KindManagedIdentity {
		kind = KindServicePrincipal // role assignments do not tell them apart
	}
	at := scope
	if at == "" {
		at = "/"
	}
	stamp := now.UTC().Format(time.RFC3339Nano)
	return &arm.Resource{
		ID: scope + "/providers/" + TypeAssignment + "/" + name, Type: TypeAssignment, Name: name,
		Body: map[string]any{"properties": map[string]any{
			"roleDefinitionId": subscription + "/providers/" + TypeRole + "/" + role,
			"principalId":      principalID, "principalType": kind, "scope": at,
			"createdOn": stamp, "updatedOn": stamp,
		}},
		State: "Succeeded", CreatedAt: now.UTC(), ChangedAt: now.UTC(),
	}
}

// permission is a Permission made ready for matching.
type permission struct{ allow, deny []pattern }

// allows tells whether the action (lower case) is in Actions and not in NotActions.
func (p permission) allows(action string) bool {
	return matchAny(p.allow, action) && !matchAny(p.deny, action)
}

func compile(permissions []Permission) []permission {
	out := make([]permission, len(permissions))
	for i, p := range permissions {
		out[i] = permission{compilePatterns(p.Actions), compilePatterns(p.NotActions)}
	}
	return out
}

// pattern is an action with stars, cut at the stars.
type pattern []string

func compilePatterns(actions []string) []pattern {
	var out []pattern
	for _, a := range actions {
		a = strings.ToLower(a)
		out = append(out, strings.Split(a, "*"))
		// Azure's built-in Managed Identity Operator allows
		// userAssignedIdentities/*/assign/action for the operation
		// userAssignedIdentities/assign/action: a whole segment of star may be absent.
		if short := strings.ReplaceAll(a, "/*/", "/"); short != a {
			out = append(out, strings.Split(short, "*"))
		}
	}
	return out
}

func matchAny(patterns []pattern, action string) bool {
	for _, p := range patterns {
		if p.match(action) {
			return true
		}
	}
	return false
}

func (p pattern) match(s string) bool {
	if len(p) == 1 {
		return s == p[0]
	}
	if !strings.HasPrefix(s, p[0]) {
		return false
	}
	s = s[len(p[0]):]
	for _, part := range p[1 : len(p)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, p[len(p)-1])
}

// MatchAction tells whether an action is covered by a pattern with stars, in any case.
func MatchAction(actionPattern, action string) bool {
	return matchAny(compilePatterns([]string{actionPattern}), strings.ToLower(action))
}

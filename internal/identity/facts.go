package identity

import (
	"encoding/json"
	"fmt"
	"strings"

	"cloister.dev/cloister/internal/store"
)

// facts is what decisions are made of. All ids and scopes in it are in lower case.
type facts struct {
	assignments map[string]assignment                 // by document key
	held        map[string]map[string]map[string]bool // principal, scope, role
	roles       map[string]*heldRole                  // by GUID
	groupsOf    map[string]map[string]bool            // principal or group, group
	members     map[string][]string                   // of a group, to undo groupsOf
	enabled     map[string]bool                       // of every principal of the directory
}

type assignment struct{ principal, scope, role string }

type heldRole struct {
	Role
	compiled []permission
}

func newFacts() *facts {
	f := &facts{
		assignments: map[string]assignment{}, held: map[string]map[string]map[string]bool{},
		roles: map[string]*heldRole{}, groupsOf: map[string]map[string]bool{}, members: map[string][]string{},
		enabled: map[string]bool{},
	}
	for _, r := range builtIn {
		f.roles[r.ID] = &heldRole{r, compile(r.Permissions)}
	}
	return f
}

// holders are the principal and all groups that it is in.
func (f *facts) holders(principal string) []string {
	out := []string{principal}
	seen := map[string]bool{principal: true}
	for i := 0; i < len(out); i++ {
		for g := range f.groupsOf[out[i]] {
			if !seen[g] {
				seen[g] = true
				out = append(out, g)
			}
		}
	}
	return out
}

// each calls visit for every role that the principal has at the scope or above it, until visit says true.
func (f *facts) each(principal, scope string, visit func(*heldRole) bool) bool {
	for _, holder := range f.holders(principal) {
		scopes := f.held[holder]
		if len(scopes) == 0 {
			continue
		}
		for at := scope; ; {
			for id := range scopes[at] {
				if role := f.roles[id]; role != nil && visit(role) {
					return true
				}
			}
			if at == "/" {
				break
			}
			if i := strings.LastIndexByte(at, '/'); i > 0 {
				at = at[:i]
			} else {
				at = "/"
			}
		}
	}
	return false
}

func (f *facts) allowed(principal, action, scope string) bool {
	return f.each(principal, scope, func(r *heldRole) bool {
		for _, p := range r.compiled {
			if p.allows(action) {
				return true
			}
		}
		return false
	})
}

func (f *facts) seesBelow(principal, scope string) bool {
	if f.each(principal, scope, func(*heldRole) bool { return true }) {
		return true
	}
	below := strings.TrimSuffix(scope, "/") + "/"
	for _, holder := range f.holders(principal) {
		for at := range f.held[holder] {
			if strings.HasPrefix(at, below) {
				return true
			}
		}
	}
	return false
}

func (f *facts) applyAssignment(e store.Event) error {
	if old, ok := f.assignments[e.Key]; ok {
		delete(f.assignments, e.Key)
		f.unhold(old)
	}
	if e.Deleted {
		return nil
	}
	r, err := decodeResource(e)
	if err != nil {
		return err
	}
	text := func(name string) string { s, _ := r.Properties()[name].(string); return strings.ToLower(s) }
	if r.Deleting || text("condition") != "" { // a condition that nobody checks must not grant anything
		return nil
	}
	role := text("roleDefinitionId")
	// The scope is where the document is, whatever its properties say.
	a := assignment{
		principal: text("principalId"), role: role[strings.LastIndexByte(role, '/')+1:],
		scope: normalScope(strings.TrimPrefix(e.Key[:strings.LastIndex(e.Key, inAssignment)], "/res")),
	}
	f.assignments[e.Key] = a
	if f.held[a.principal] == nil {
		f.held[a.principal] = map[string]map[string]bool{}
	}
	if f.held[a.principal][a.scope] == nil {
		f.held[a.principal][a.scope] = map[string]bool{}
	}
	f.held[a.principal][a.scope][a.role] = true
	return nil
}

// unhold takes a role away, unless another assignment gives the same.
func (f *facts) unhold(old assignment) {
	for _, other := range f.assignments {
		if other == old {
			return
		}
	}
	delete(f.held[old.principal][old.scope], old.role)
	if len(f.held[old.principal][old.scope]) == 0 {
		delete(f.held[old.principal], old.scope)
	}
	if len(f.held[old.principal]) == 0 {
		delete(f.held, old.principal)
	}
}

func (f *facts) applyRole(e store.Event) error {
	id := e.Key[strings.LastIndexByte(e.Key, '/')+1:]
	if f.roles[id] != nil && !f.roles[id].Custom {
		return nil // nobody changes a built-in role
	}
	delete(f.roles, id)
	if e.Deleted {
		return nil
	}
	r, err := decodeResource(e)
	if err != nil || r.Deleting {
		return err
	}
	role, err := CustomRole(r)
	if err != nil {
		return err
	}
	f.roles[id] = &heldRole{role, compile(role.Permissions)}
	return nil
}

func (f *facts) applyPrincipal(e store.Event) error {
	id := strings.ToLower(e.Key[len(keyPrincipals):])
	for _, m := range f.members[id] {
		delete(f.groupsOf[m], id)
	}
	delete(f.members, id)
	delete(f.enabled, id)
	if e.Deleted {
		return nil
	}
	var p Principal
	if err := json.Unmarshal(e.Value, &p); err != nil {
		return fmt.Errorf("document at %s: %w", e.Key, err)
	}
	f.enabled[id] = !p.Disabled
	for _, m := range p.Members {
		m = strings.ToLower(m)
		f.members[id] = append(f.members[id], m)
		if f.groupsOf[m] == nil {
			f.groupsOf[m] = map[string]bool{}
		}
		f.groupsOf[m][id] = true
	}
	return nil
}

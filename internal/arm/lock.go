package arm

import (
	"context"
	"strings"

	"cloister.dev/cloister/internal/resourceid"
)

// TypeLock is the type of locks: who locks a scope protects all that is in it. The kernel keeps them, as it sees every request.
// https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources
const TypeLock = "Microsoft.Authorization/locks"

// What properties.level of a lock may be.
const (
	LockDelete = "CanNotDelete"
	LockWrite  = "ReadOnly" // deletes, too
)

// unlocked refuses a write, a delete or an action that a lock forbids: one on the resource or on what contains it, and for
// a delete one on what it contains. Cloister's own work goes on, and locks themselves can always be changed.
func (s *Server) unlocked(ctx context.Context, c *change, verb string) error {
	if c.principal.System || c.cascade || strings.EqualFold(c.typ.Name, TypeLock) || s.types[strings.ToLower(TypeLock)] == nil {
		return nil
	}
	var locks []*Resource
	for at := c.id; at.String() != "/" && !at.IsZero(); at = at.Parent() {
		here, err := s.read.sharedBelow(ctx, lockScope(at), TypeLock)
		if err != nil {
			return err
		}
		locks = append(locks, here...)
	}
	if verb == "delete" {
		below, err := s.read.sharedBelow(ctx, c.id.String(), TypeLock)
		if err != nil {
			return err
		}
		locks = append(locks, below...)
	}
	var by []string
	seen := map[string]bool{}
	for _, l := range locks {
		properties, _ := l.Body["properties"].(map[string]any)
		scope := l.ParsedID().Scope
		if (verb == "delete" || properties["level"] == LockWrite) && !seen[strings.ToLower(scope)] {
			seen[strings.ToLower(scope)] = true
			by = append(by, "'"+scope+"' (lock '"+l.Name+"')")
		}
	}
	if len(by) == 0 {
		return nil
	}
	return Conflict("ScopeLocked", "The scope '%s' cannot perform %s operation because following scope(s) are locked: %s. Please remove the lock and try again: `az lock list` shows them.", c.id, verb, strings.Join(by, ", "))
}

// lockScope is what the ids of a scope's own locks begin with.
func lockScope(id resourceid.ID) string { return id.String() + "/providers/" + TypeLock }

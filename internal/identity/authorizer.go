package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/store"
)

// Authorizer decides by role assignments, which it keeps in memory. It implements arm.Authorizer.
type Authorizer struct {
	store store.Store

	mu    sync.RWMutex
	facts *facts
	from  map[string]int64 // prefix: the store's revision when it was read
}

var _ arm.Authorizer = (*Authorizer)(nil)

// OpenAuthorizer reads all assignments; Follow keeps up with changes.
func OpenAuthorizer(ctx context.Context, st store.Store) (*Authorizer, error) {
	a := &Authorizer{store: st, facts: newFacts(), from: map[string]int64{}}
	for _, prefix := range []string{"/res/", keyPrincipals} {
		docs, rev, err := st.List(ctx, prefix)
		if err != nil {
			return nil, fmt.Errorf("role assignments: %w", err)
		}
		a.from[prefix] = rev
		for _, doc := range docs {
			if err := a.facts.apply(store.Event{Doc: doc}); err != nil {
				slog.ErrorContext(ctx, "role assignments", "error", err)
			}
		}
	}
	return a, nil
}

// Authorize implements arm.Authorizer.
func (a *Authorizer) Authorize(_ context.Context, p arm.Principal, action, scope string) error {
	if p.System {
		return nil
	}
	a.mu.RLock()
	ok := a.facts.allowed(strings.ToLower(p.ObjectID), strings.ToLower(action), normalScope(scope))
	a.mu.RUnlock()
	if ok {
		return nil
	}
	client := p.AppID
	if p.Kind == KindUser || client == "" {
		client = p.Name
	}
	return arm.Errorf(403, "AuthorizationFailed", "The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' or the scope is invalid. If access was recently granted, please refresh your credentials.", client, p.ObjectID, action, scope)
}

// Permissions lists what the principal may do at the scope, by the roles that reach it.
func (a *Authorizer) Permissions(objectID, scope string) []Permission {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []Permission
	a.facts.each(strings.ToLower(objectID), normalScope(scope), func(r *heldRole) bool {
		out = append(out, r.Permissions...)
		return false
	})
	return out
}

// Groups are the object ids of the groups that the principal is in, directly or through groups.
func (a *Authorizer) Groups(objectID string) []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.facts.holders(strings.ToLower(objectID))[1:]
}

// enabled tells whether the directory has the principal and lets it in.
func (a *Authorizer) enabled(objectID string) (enabled, known bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	enabled, known = a.facts.enabled[strings.ToLower(objectID)]
	return enabled, known
}

// SeesBelow tells whether the principal has any role at the scope, above or below it.
func (a *Authorizer) SeesBelow(objectID, scope string) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.facts.seesBelow(strings.ToLower(objectID), normalScope(scope))
}

// Follow keeps the cache up to date until ctx ends.
func (a *Authorizer) Follow(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for prefix, rev := range a.from {
		g.Go(func() error {
			for e := range a.store.Watch(ctx, prefix, rev) {
				a.mu.Lock()
				err := a.facts.apply(e)
				a.mu.Unlock()
				if err != nil { // a broken document grants nothing
					slog.ErrorContext(ctx, "role assignments", "error", err)
				}
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

// Where assignments and roles stand in a document's key.
var (
	inAssignment = "/providers/" + strings.ToLower(TypeAssignment) + "/"
	inRole       = "/providers/" + strings.ToLower(TypeRole) + "/"
)

// apply takes one document of the store into account.
func (f *facts) apply(e store.Event) error {
	switch {
	case strings.HasPrefix(e.Key, keyPrincipals):
		return f.applyPrincipal(e)
	case strings.Contains(e.Key, inAssignment):
		return f.applyAssignment(e)
	case strings.Contains(e.Key, inRole):
		return f.applyRole(e)
	}
	return nil
}

func decodeResource(e store.Event) (*arm.Resource, error) {
	r := &arm.Resource{Rev: e.Rev}
	if err := json.Unmarshal(e.Value, r); err != nil {
		return nil, fmt.Errorf("document at %s: %w", e.Key, err)
	}
	return r, nil
}

// normalScope is a scope in lower case, without empty segments: "/" is the tenant root.
func normalScope(scope string) string {
	var b strings.Builder
	for seg := range strings.SplitSeq(strings.ToLower(scope), "/") {
		if seg != "" {
			b.WriteByte('/')
			b.WriteString(seg)
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

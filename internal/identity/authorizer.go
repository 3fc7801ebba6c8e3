package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/store"
)

// resync is how often the cache is read anew: a watch that fell behind the
// store's history does not tell what was deleted meanwhile.
const resync = 5 * time.Minute

// Authorizer decides by role assignments, which it keeps in memory. It implements arm.Authorizer.
type Authorizer struct {
	store store.Store

	mu     sync.RWMutex
	facts  *facts
	synced int64 // the store's revision of the last full read
}

var _ arm.Authorizer = (*Authorizer)(nil)

// OpenAuthorizer reads all assignments; Follow keeps up with changes.
func OpenAuthorizer(ctx context.Context, st store.Store) (*Authorizer, error) {
	a := &Authorizer{store: st}
	return a, a.read(ctx)
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

// SeesBelow tells whether the principal has any role at the scope, above or below it.
func (a *Authorizer) SeesBelow(objectID, scope string) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.facts.seesBelow(strings.ToLower(objectID), normalScope(scope))
}

// Follow keeps the cache up to date until ctx ends.
func (a *Authorizer) Follow(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := a.follow(ctx); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "role assignments: reading them again", "error", err)
		}
	}
	return ctx.Err()
}

// follow applies changes for one resync period, then reads everything again.
func (a *Authorizer) follow(ctx context.Context) error {
	watching, stop := context.WithTimeout(ctx, resync)
	defer stop()
	a.mu.RLock()
	rev := a.synced
	a.mu.RUnlock()
	resources, people := a.store.Watch(watching, "/res/", rev), a.store.Watch(watching, keyPrincipals, rev)
	for resources != nil || people != nil {
		var e store.Event
		var open bool
		select {
		case e, open = <-resources:
			if !open {
				resources = nil
				stop()
				continue
			}
		case e, open = <-people:
			if !open {
				people = nil
				stop()
				continue
			}
		}
		a.mu.Lock()
		err := a.facts.apply(e)
		a.mu.Unlock()
		if err != nil {
			slog.ErrorContext(ctx, "role assignments", "error", err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return a.read(ctx)
}

func (a *Authorizer) read(ctx context.Context) error {
	f := newFacts()
	// The older of the two revisions is where the watches go on: seeing a change twice does no harm.
	var synced int64
	for _, prefix := range []string{"/res/", keyPrincipals} {
		docs, rev, err := a.store.List(ctx, prefix)
		if err != nil {
			return fmt.Errorf("role assignments: %w", err)
		}
		if synced == 0 {
			synced = rev
		}
		for _, doc := range docs {
			if err := f.apply(store.Event{Doc: doc}); err != nil {
				slog.ErrorContext(ctx, "role assignments", "error", err)
			}
		}
	}
	a.mu.Lock()
	a.facts, a.synced = f, synced
	a.mu.Unlock()
	return nil
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

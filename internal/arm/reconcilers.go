package arm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// idle is when a resource that is not done is looked at again, if its type does not say.
const idle = time.Minute

// stepTime bounds one call of Reconcile or Remove: they write specs and read statuses, and wait for nothing.
const stepTime = 2 * time.Minute

// Reconcilers are one for each type, and the sweep of ended operations. A key is a resource's id in lower case.
func (s *Server) Reconcilers() []reconcile.Reconciler {
	var out []reconcile.Reconciler
	for _, t := range s.types {
		r := reconcile.Reconciler{
			Name: t.Name, Writes: []string{resPrefix, opPrefix}, Workers: 8,
			Watches:   []reconcile.Watch{{Prefix: resPrefix, Map: ownKeys(t)}},
			Reconcile: func(ctx context.Context, key string) (reconcile.Result, error) { return s.step(ctx, t, key) },
		}
		for _, w := range t.Watches {
			r.Watches = append(r.Watches, reconcile.Watch{Prefix: w.Prefix, Map: ofType(t, w.Map)})
		}
		out = append(out, r)
	}
	return append(out, reconcile.Reconciler{
		Name: "operations", Watches: []reconcile.Watch{{Prefix: opPrefix}}, Writes: []string{opPrefix}, Workers: 1, Reconcile: s.sweep,
	})
}

const resPrefix = "/res/"

// ownKeys maps changes of resources to those of the type: itself, and what contained a resource that is gone.
func ownKeys(t *Type) func(context.Context, store.Event) []string {
	return func(_ context.Context, e store.Event) []string {
		id, err := resourceid.Parse(strings.TrimPrefix(e.Key, "/res"))
		if err != nil {
			return nil
		}
		if strings.EqualFold(id.Type(), t.Name) {
			return []string{id.Key()}
		}
		if !e.Deleted {
			return nil
		}
		var keys []string
		for id = id.Parent(); id.String() != "/"; id = id.Parent() {
			if strings.EqualFold(id.Type(), t.Name) {
				keys = append(keys, id.Key())
			}
		}
		return keys
	}
}

// ofType keeps the ids of one type, in lower case.
func ofType(t *Type, f func(context.Context, store.Event) []string) func(context.Context, store.Event) []string {
	return func(ctx context.Context, e store.Event) []string {
		var keys []string
		for _, raw := range f(ctx, e) {
			if id, err := resourceid.Parse(raw); err == nil && strings.EqualFold(id.Type(), t.Name) {
				keys = append(keys, id.Key())
			}
		}
		return keys
	}
}

// step brings one resource a step further.
func (s *Server) step(ctx context.Context, t *Type, key string) (reconcile.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	r, err := s.read.Get(ctx, key)
	if IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if r.Deleting && r.State == StateFailed {
		return reconcile.Result{}, nil // a new DELETE or PUT decides
	}
	before, err := r.fingerprint()
	if err != nil {
		return reconcile.Result{}, err
	}
	rev := r.Rev
	do := t.Reconcile
	if r.Deleting {
		do = func(ctx context.Context, r *Resource) (Progress, error) { return s.takeDown(ctx, t, r) }
	}
	p := Progress{Done: true}
	if do != nil {
		p, err = do(ctx, r)
	}
	after, ferr := r.fingerprint()
	if ferr != nil {
		return reconcile.Result{}, ferr
	}
	return s.conclude(ctx, r, p, err, before != after || rev != r.Rev)
}

// takeDown deletes what is below r, then r itself.
func (s *Server) takeDown(ctx context.Context, t *Type, r *Resource) (Progress, error) {
	p, err := s.DeleteAll(ctx, r)
	if err != nil || !p.Done || t.Remove == nil {
		var term *TerminalError
		if errors.As(err, &term) {
			return p, &blockedError{term}
		}
		return p, err
	}
	return t.Remove(ctx, r)
}

// blockedError is a delete that ended before the resource itself was touched.
type blockedError struct{ *TerminalError }

func (b *blockedError) Unwrap() error { return b.TerminalError }

// conclude writes what a step led to: the end of the operation together with the
// resource's state, or what the reconciler wants to remember.
func (s *Server) conclude(ctx context.Context, r *Resource, p Progress, err error, changed bool) (reconcile.Result, error) {
	var term *TerminalError
	switch {
	case errors.As(err, &term):
		s.Logger.WarnContext(ctx, "operation failed", "resource", r.ID, "deleting", r.Deleting, "error", err)
		if r.Operation == "" && r.State != StateCreating && r.State != StateUpdating {
			return reconcile.Result{}, s.save(ctx, r, changed)
		}
		var blocked *blockedError
		return reconcile.Result{}, s.settle(ctx, r, term.Cause, errors.As(err, &blocked))
	case err != nil:
		if errors.Is(err, store.ErrConflict) {
			return reconcile.Result{}, err
		}
		if noteErr := s.note(ctx, r.Operation, p.Percent, err.Error()); noteErr != nil {
			return reconcile.Result{}, errors.Join(err, noteErr)
		}
		return reconcile.Result{}, errors.Join(err, s.save(ctx, r, changed))
	case p.Done && (r.Deleting || r.Operation != "" || r.State != StateSucceeded && r.State != StateFailed):
		return reconcile.Result{After: p.After}, s.settle(ctx, r, nil, false)
	}
	if err := s.save(ctx, r, changed); err != nil {
		return reconcile.Result{}, err
	}
	if p.Done {
		return reconcile.Result{After: p.After}, nil
	}
	if err := s.note(ctx, r.Operation, p.Percent, p.Note); err != nil {
		return reconcile.Result{}, err
	}
	if p.After <= 0 {
		p.After = idle
	}
	s.Logger.DebugContext(ctx, "waits", "resource", r.ID, "for", p.Note, "percent", p.Percent)
	return reconcile.Result{After: p.After}, nil
}

func (s *Server) save(ctx context.Context, r *Resource, changed bool) error {
	if !changed {
		return nil
	}
	tx := &store.Tx{}
	Put(tx, r)
	rev, err := s.Store.Commit(ctx, tx)
	if err != nil {
		return fmt.Errorf("save %s: %w", r.ID, err)
	}
	r.Rev = rev
	return nil
}

// settle ends the operation on r and writes r's last state (or deletes it), in one
// transaction. A delete that was blocked by what is inside gives the resource back.
func (s *Server) settle(ctx context.Context, r *Resource, cause *Error, blocked bool) error {
	tx := &store.Tx{}
	op, err := s.running(ctx, r)
	if err != nil {
		return err
	}
	status := Succeeded
	if cause != nil {
		status = Failed
	}
	if op != nil {
		s.end(tx, op, status, cause)
	}
	if r.Deleting && cause == nil {
		Delete(tx, r)
	} else {
		r.State, r.Error, r.Operation = status, cause, ""
		if cause != nil {
			r.ChangedAt = s.Now().UTC()
			delete(r.Private, "toDelete")
			r.Deleting = r.Deleting && (!blocked || op != nil && op.Cascade)
		}
		Put(tx, r)
	}
	if _, err := s.Store.Commit(ctx, tx); err != nil {
		return fmt.Errorf("end operation on %s: %w", r.ID, err)
	}
	s.Logger.InfoContext(ctx, "settled", "resource", r.ID, "deleted", r.Deleting && cause == nil, "state", status)
	return nil
}

// sweep deletes an operation that ended a day ago.
func (s *Server) sweep(ctx context.Context, key string) (reconcile.Result, error) {
	op, err := s.operation(ctx, key)
	if err != nil || op == nil || !op.ended() {
		return reconcile.Result{}, err
	}
	if left := op.End.Add(keepOperations).Sub(s.Now()); left > 0 {
		return reconcile.Result{After: left}, nil
	}
	_, err = s.Store.Commit(ctx, (&store.Tx{}).Expect(key, op.Rev).Delete(key))
	return reconcile.Result{}, err
}

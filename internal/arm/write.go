package arm

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// attempts is how often an admission is done again because something it read was changed meanwhile.
const (
	attempts  = 30
	turnless  = 2 // of them are made without a turn
	retryStep = 5 * time.Millisecond
	turnTime  = time.Second // nobody waits longer for a turn
)

// failedPause is how long Cloister's own repeated write leaves a failed resource alone, before it tries again.
const failedPause = 30 * time.Second

// change is one write, delete or action on its way to the store.
type change struct {
	id          resourceid.ID
	typ         *Type
	principal   Principal
	body        map[string]any
	text        []byte // of the body
	patch       bool
	cascade     bool
	managedBy   string // only Cloister itself sets it
	wanted      string // digest of what Cloister itself wants
	ifMatch     string
	ifNoneMatch string
}

func (q *request) change(id resourceid.ID, t *Type) *change {
	return &change{id: id, typ: t, principal: q.principal, ifMatch: q.http.Header.Get("If-Match"), ifNoneMatch: q.http.Header.Get("If-None-Match")}
}

func (s *Server) serveWrite(ctx context.Context, q *request, id resourceid.ID, t *Type) (*Response, error) {
	if err := s.authorize(ctx, q.principal, t.Name+"/write", id.String()); err != nil {
		return nil, err
	}
	c := q.change(id, t)
	var err error
	if c.body, err = q.body(true); err != nil {
		return nil, err
	}
	c.text, c.patch = q.text, q.http.Method == http.MethodPatch
	r, op, created, err := s.write(ctx, c)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	resp, err := s.shown(ctx, r, status)
	if err == nil && op != nil {
		for k, v := range s.links(op, r, q.apiVersion) {
			resp.Headers[k] = v
		}
	}
	return resp, err
}

// retried does an admission until no one is in its way. Those that were in each other's way, as many NICs
// of one subnet are, take turns.
func (s *Server) retried(ctx context.Context, c *change, try func() error) error {
	for i := range attempts {
		err := s.inTurn(ctx, i, try)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(rand.Int64N(int64(i+1) * int64(retryStep)))):
		}
	}
	if c.ifMatch != "" {
		return preconditionFailed(c.id)
	}
	return Conflict("RequestConflict", "The resource '%s', or one that it depends on, was changed at the same time by other requests. Send the request again.", c.id)
}

func (s *Server) inTurn(ctx context.Context, attempt int, try func() error) error {
	if attempt < turnless {
		return try()
	}
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-time.After(turnTime): // an admission that waits for another one's write
	case <-ctx.Done():
		return ctx.Err()
	}
	return try()
}

// write admits a create or update and commits it: the resource, its operation (nil if
// it is done at once) and what the type adds, all or nothing.
func (s *Server) write(ctx context.Context, c *change) (r *Resource, op *Operation, created bool, err error) {
	err = s.retried(ctx, c, func() error {
		r, op, created, err = s.tryWrite(ctx, c)
		return err
	})
	return r, op, created, err
}

func (s *Server) tryWrite(ctx context.Context, c *change) (*Resource, *Operation, bool, error) {
	old, err := s.current(ctx, c)
	if err != nil {
		return nil, nil, false, err
	}
	if old != nil && c.wanted != "" && old.Wanted == c.wanted && !old.Deleting && (old.State != StateFailed || s.Now().Sub(old.ChangedAt) < failedPause) {
		return old, nil, false, nil // Cloister wants what it wanted before, and nobody changed it
	}
	if old == nil && c.patch {
		if _, err := s.get(ctx, c.id); err != nil {
			return nil, nil, false, err
		}
	}
	if err := s.unlocked(ctx, c, "write"); err != nil {
		return nil, nil, false, err
	}
	run, err := s.free(ctx, c, old)
	if err != nil {
		return nil, nil, false, err
	}
	tx := &store.Tx{}
	if err := s.checkContainers(ctx, c, old, tx); err != nil {
		return nil, nil, false, err
	}
	w := &Write{ID: c.id, Principal: c.principal, Old: old, New: s.next(c, old), Text: c.text, Patch: c.patch, Read: s.read, Tx: tx, Allowed: s.allowed(c.principal)}
	if err := s.admit(ctx, c, w); err != nil {
		return nil, nil, false, err
	}
	op := run
	if op == nil && c.typ.Async && c.typ.Reconcile != nil {
		op = s.newOperation("write", c.id, c.principal)
		tx.Create(op.Key(), op)
	}
	if op != nil {
		w.New.Operation = op.Key()
	} else {
		w.New.State = StateSucceeded
	}
	Put(tx, w.New)
	if w.New.Rev, err = s.Store.Commit(ctx, tx); err != nil {
		return nil, nil, false, err
	}
	return w.New, op, old == nil, nil
}

// current reads the resource as it is, and holds the request's preconditions against it.
func (s *Server) current(ctx context.Context, c *change) (*Resource, error) {
	old, err := s.read.Get(ctx, c.id.String())
	if IsNotFound(err) {
		old, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c.ifNoneMatch == "*" && old != nil {
		return nil, Errorf(http.StatusPreconditionFailed, "PreconditionFailed", "The resource '%s' exists already, and the request says If-None-Match: *.", c.id)
	}
	if c.ifMatch != "" && (old == nil || !matches(c.ifMatch, old)) {
		return nil, preconditionFailed(c.id)
	}
	return old, nil
}

func preconditionFailed(id resourceid.ID) *Error {
	return Errorf(http.StatusPreconditionFailed, "PreconditionFailed", "The condition set in the request (If-Match) does not hold: '%s' has another etag by now. Read it again and repeat the change.", id)
}

func matches(header string, r *Resource) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || tag == r.ETag() || `W/`+tag == r.ETag() || `W/"`+tag+`"` == r.ETag() {
			return true
		}
	}
	return false
}

// free refuses a write while something else is done to the resource. Cloister's own
// writes join the operation that runs: the reconciler sees the newest state anyway.
func (s *Server) free(ctx context.Context, c *change, old *Resource) (*Operation, error) {
	if old == nil {
		return nil, nil
	}
	if old.Deleting && old.State != StateFailed {
		return nil, busy(c.typ, "The resource '%s' is being deleted. Wait until it is gone.", old.ID)
	}
	run, err := s.running(ctx, old)
	if err != nil || run == nil || c.principal.System {
		return run, err
	}
	return nil, busy(c.typ, "Another operation (%s, '%s') is in progress on '%s'. Wait until it has ended, then send the request again.", run.Kind, run.ID, old.ID)
}

func busy(t *Type, format string, args ...any) *Error {
	code := t.BusyCode
	if code == "" {
		code = "AnotherOperationInProgress"
	}
	return Conflict(code, format, args...)
}

// next is the resource as the request wants it, before admission.
func (s *Server) next(c *change, old *Resource) *Resource {
	now := s.Now().UTC()
	if old == nil {
		return &Resource{
			ID: c.id.String(), Type: c.typ.Name, Name: c.id.Name(), Body: clean(c.body), State: StateCreating,
			ManagedBy: c.managedBy, Wanted: c.wanted, CreatedAt: now, ChangedAt: now, CreatedBy: c.principal.ObjectID,
		}
	}
	r := old.copy()
	r.State, r.Deleting, r.Error, r.Operation, r.ChangedAt, r.Wanted = StateUpdating, false, nil, "", now, c.wanted
	if old.Operation != "" && old.State == StateCreating {
		r.State = StateCreating // Cloister's own write while it is being made
	}
	if c.managedBy != "" {
		r.ManagedBy = c.managedBy
	}
	if c.patch {
		r.Body = clean(mergePatch(old.Body, clean(c.body)))
	} else {
		r.Body = clean(c.body)
	}
	return r
}

func (s *Server) allowed(p Principal) func(context.Context, string, string) error {
	return func(ctx context.Context, action, scope string) error { return s.authorize(ctx, p, action, scope) }
}

// admit runs the kernel's checks and the type's.
func (s *Server) admit(ctx context.Context, c *change, w *Write) error {
	if w.Old == nil {
		checkName(w, c.typ)
	}
	checkTags(w)
	s.checkLocation(w, c.typ)
	if len(w.Problems) == 0 && c.typ.Admit != nil {
		if err := c.typ.Admit(ctx, w); err != nil {
			return err
		}
	}
	if err := together(w.Problems); err != nil {
		return err
	}
	if s.Room != nil && !c.principal.System && (w.Old == nil || w.Space > 0) {
		if err := s.Room(ctx, w.Space); err != nil {
			return err
		}
	}
	var err error
	w.New.Body, err = normal(w.New.Body)
	return err
}

// together makes one error of all that is wrong with a request.
func together(problems []*Error) error {
	switch len(problems) {
	case 0:
		return nil
	case 1:
		return problems[0]
	}
	var all []string
	for _, p := range problems {
		all = append(all, p.Message)
	}
	e := BadRequest(problems[0].Code, "%d things are wrong with the request: %s", len(problems), strings.Join(all, " "))
	e.Status, e.Target, e.Details = problems[0].Status, problems[0].Target, problems
	return e
}

package deployments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/template"
)

const (
	codeCanceled = "DeploymentCanceled"
	codeFailed   = "DeploymentFailed"
	// look is how often a deployment looks at what it waits for, if nothing wakes it.
	look = 3 * time.Second
	// atOnce is how many resources one pass begins: then what was done is stored, before more is begun.
	atOnce = 50
	// patience is how long a delete of the mode Complete waits for others that go.
	patience = 5 * time.Minute
)

// run is one pass over a deployment.
type run struct {
	*deployments
	r         *arm.Resource
	t         *template.Template
	principal arm.Principal
	steps     steps
	failures  []*arm.Error
	running   int
	begun     int
	more      bool
}

// reconcile brings a deployment a pass further.
func (m *deployments) reconcile(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	if r.Private[keyEnded] != nil {
		return arm.Progress{Done: true}, m.forget(r)
	}
	p, err := m.opened(ctx, r)
	if err != nil {
		return arm.Progress{}, err
	}
	if err := p.pass(ctx); err != nil {
		return arm.Progress{}, err
	}
	if p.running == 0 && !p.more && len(p.failures) == 0 && p.all() {
		if err := p.complete(ctx); err != nil {
			return arm.Progress{}, err
		}
	}
	if err := p.steps.write(r); err != nil {
		return arm.Progress{}, err
	}
	canceled := r.Private[keyCanceled] == true
	switch {
	case p.more && !canceled && len(p.failures) == 0:
		return p.progress(time.Millisecond), nil
	case p.running > 0:
		return p.progress(look), nil
	}
	r.Private[keyEnded] = m.Now().UTC().Format(time.RFC3339Nano)
	if len(p.failures) > 0 {
		e := arm.Conflict(codeFailed, "At least one resource deployment operation failed. `az deployment operation group list` shows all of them. %s", messages(p.failures))
		e.Details = p.failures
		return arm.Progress{}, arm.Terminal(e)
	}
	if canceled {
		return arm.Progress{}, arm.Terminal(arm.Conflict(codeCanceled, "The deployment '%s' was canceled. What it had made by then stays.", r.Name))
	}
	return p.finish(ctx)
}

// opened takes up a deployment where it was left.
func (m *deployments) opened(ctx context.Context, r *arm.Resource) (*run, error) {
	p := &run{deployments: m, r: r}
	var kept inputs
	sealed, _ := r.Private[keySealed].(string)
	if err := m.Box.Open(sealed, &kept); err != nil {
		return nil, arm.Terminal(arm.Conflict(codeFailed, "The deployment's parameters cannot be read any more: %v. Send the deployment again.", err))
	}
	if err := decode(r.Private[keyPrincipal], &p.principal); err != nil {
		return nil, err
	}
	var err error
	if p.steps, err = readSteps(r); err != nil {
		return nil, err
	}
	properties := map[string]any{"template": r.Private[keyTemplate], "mode": r.Properties()["mode"]}
	c, err := m.surroundings(ctx, r.ParsedID(), properties, p.principal, r.Location())
	if err != nil {
		return nil, err
	}
	doc, _ := r.Private[keyTemplate].(map[string]any)
	if p.t, err = template.New(ctx, doc, kept.Parameters, c, kept.Outer); err == nil {
		err = p.t.Plan(ctx)
	}
	if err != nil {
		return nil, terminal(invalid(err, nil))
	}
	return p, nil
}

// terminal makes an ARM error one that ends the operation; others are tried again.
func terminal(err error) error {
	var e *arm.Error
	if errors.As(err, &e) {
		return arm.Terminal(e)
	}
	return err
}

// pass looks at each resource, and begins those whose time has come.
func (p *run) pass(ctx context.Context) error {
	for i, r := range p.t.Resources {
		key := strings.ToLower(r.ID)
		s := p.steps[key]
		switch {
		case r.Skipped:
			if s == nil {
				p.steps.of(key, r, p.Now()).end(stepSkipped, p.Now(), nil)
			}
		case s != nil && s.State != stepRunning:
		case s != nil && s.Operation != "":
			if err := p.observe(ctx, r, s); err != nil {
				return err
			}
		case s == nil && !p.ready(i):
		case s == nil && (len(p.failures) > 0 || p.r.Private[keyCanceled] == true):
		case p.begun >= atOnce:
			p.more = true
		default:
			if err := p.begin(ctx, r, p.steps.of(key, r, p.Now())); err != nil {
				return err
			}
		}
		if s := p.steps[key]; s != nil && s.State == stepFailed {
			p.failures = append(p.failures, s.Error)
		}
		if s := p.steps[key]; s != nil && s.State == stepRunning {
			p.running++
		}
	}
	if p.next() {
		p.more = true
	}
	return nil
}

// ready tells whether all that a resource depends on is there.
func (p *run) ready(i int) bool {
	return !slices.ContainsFunc(p.t.Resources[i].DependsOn, func(on int) bool {
		s := p.steps[strings.ToLower(p.t.Resources[on].ID)]
		return !p.t.Resources[on].Skipped && (s == nil || s.State != stepDone && s.State != stepSkipped)
	})
}

// next tells whether there is a resource that could be begun now.
func (p *run) next() bool {
	for i, r := range p.t.Resources {
		if p.steps[strings.ToLower(r.ID)] == nil && p.ready(i) {
			return true
		}
	}
	return false
}

func (p *run) all() bool {
	return !slices.ContainsFunc(p.t.Resources, func(r *template.Resource) bool {
		s := p.steps[strings.ToLower(r.ID)]
		return s == nil || s.State != stepDone && s.State != stepSkipped
	})
}

// begin writes a resource as the deployment's principal.
func (p *run) begin(ctx context.Context, r *template.Resource, s *step) error {
	p.begun++
	if r.Existing {
		_, err := p.Kernel.Show(ctx, p.principal, r.ID)
		return p.ended(s, err)
	}
	body, out, err := p.t.Body(ctx, r, runtime{p})
	if err != nil {
		return p.ended(s, invalid(err, nil))
	}
	if out != nil {
		body["properties"].(map[string]any)[outerMember] = out
	}
	p.waiting.add(r.ID, p.r.ID)
	made, err := p.Kernel.Write(ctx, p.principal, r.ID, body, "")
	var e *arm.Error
	if errors.As(err, &e) && e.Status == 409 && p.busy(ctx, r.ID) {
		return nil // somebody else's operation, or this one's from before a restart: written again when it has ended
	}
	if err != nil || made.Operation == "" {
		return p.ended(s, err)
	}
	s.Operation = made.Operation
	return nil
}

func (p *run) busy(ctx context.Context, id string) bool {
	r, err := p.Kernel.Resources().Get(ctx, id)
	return err == nil && r.Operation != ""
}

// ended ends a step; an error that is not ARM's is tried again.
func (p *run) ended(s *step, err error) error {
	var e *arm.Error
	switch {
	case err == nil:
		s.end(stepDone, p.Now(), nil)
	case errors.As(err, &e):
		cause := *e
		if cause.Target == "" {
			cause.Target = s.ID
		}
		s.end(stepFailed, p.Now(), &cause)
	default:
		return err
	}
	p.waiting.done(s.ID, p.r.ID)
	return nil
}

// observe looks whether the operation on a resource has ended.
func (p *run) observe(ctx context.Context, r *template.Resource, s *step) error {
	p.waiting.add(r.ID, p.r.ID)
	op, err := p.Kernel.Operation(ctx, s.Operation)
	if err != nil {
		return err
	}
	switch {
	case op != nil && op.Status == arm.InProgress:
		return nil
	case op == nil || op.Status == arm.Succeeded:
		return p.ended(s, nil)
	}
	cause := op.Error
	if cause == nil {
		cause = arm.Conflict("OperationFailed", "The operation on '%s' ended as %s.", r.ID, op.Status)
	}
	return p.ended(s, cause)
}

func (p *run) progress(after time.Duration) arm.Progress {
	done := 0
	for _, s := range p.steps {
		if s.State != stepRunning {
			done++
		}
	}
	n := max(len(p.t.Resources), 1)
	return arm.Progress{Percent: 100 * float64(min(done, n)) / float64(n), Note: fmt.Sprintf("%d of %d resources are done", done, n), After: after}
}

// finish gives the outputs; the next pass forgets the secrets.
func (p *run) finish(ctx context.Context) (arm.Progress, error) {
	outputs, err := p.t.Outputs(ctx, runtime{p})
	if err != nil {
		return arm.Progress{}, terminal(invalid(err, nil))
	}
	shown := map[string]any{}
	for name, o := range outputs {
		one := map[string]any{"type": o.Type}
		if o.Value != nil {
			one["value"] = o.Value
		}
		shown[name] = one
	}
	ids := []any{}
	for _, r := range p.t.Resources {
		if !r.Skipped && !r.Existing {
			ids = append(ids, map[string]any{"id": r.ID})
		}
	}
	properties := p.r.Properties()
	properties["outputs"], properties["outputResources"] = shown, ids
	return arm.Progress{Done: true, Percent: 100}, nil
}

// forget drops what may hold secrets, once the end of the deployment is stored.
func (m *deployments) forget(r *arm.Resource) error {
	if r.Operation == "" {
		delete(r.Private, keySealed)
	}
	return nil
}

// remove drops what is in memory: the rest of a deployment is its document. What it made stays, as in Azure.
func (m *deployments) remove(_ context.Context, r *arm.Resource) (arm.Progress, error) {
	m.waiting.drop(r.ID)
	return arm.Progress{Done: true}, nil
}

// cancel asks a deployment that runs to begin nothing more.
func (m *deployments) cancel(_ context.Context, a *arm.ActionRequest) (any, error) {
	if a.Resource.Operation == "" || a.Resource.Private[keyEnded] != nil {
		return nil, arm.Conflict("DeploymentCannotBeCancelled", "The deployment '%s' does not run: it is %s.", a.Resource.Name, a.Resource.State)
	}
	a.Resource.Private[keyCanceled] = true
	arm.Put(a.Tx, a.Resource)
	return nil, nil
}

func exportTemplate(_ context.Context, a *arm.ActionRequest) (any, error) {
	return map[string]any{"template": a.Resource.Private[keyTemplate]}, nil
}

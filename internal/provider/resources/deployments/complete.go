package deployments

import (
	"context"
	"errors"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

// complete deletes what stands in the group and not in the template, in the mode Complete.
func (p *run) complete(ctx context.Context) error {
	if p.r.Properties()["mode"] != "Complete" {
		return nil
	}
	extra, err := p.extra(ctx)
	if err != nil {
		return err
	}
	for _, r := range extra { // what is to go is stored before anything does
		if key := strings.ToLower(r.ID); p.steps[key] == nil {
			p.steps[key] = &step{ID: r.ID, Type: r.Type, Name: r.Name, Began: p.Now().UTC(), State: stepRunning, Delete: true}
			p.more = true
		}
	}
	if p.more {
		return nil
	}
	for _, r := range extra {
		s := p.steps[strings.ToLower(r.ID)]
		if s.State == stepFailed {
			p.failures = append(p.failures, s.Error)
			continue
		}
		p.waiting.add(r.ID, p.r.ID)
		gone, err := p.Kernel.Delete(ctx, p.principal, r.ID)
		var e *arm.Error
		switch {
		case errors.As(err, &e) && e.Status == 409 && len(extra) > 1 && p.Now().Sub(s.Began) < patience:
			p.running++ // something else that goes, too, still uses it
		case errors.As(err, &e):
			s.end(stepFailed, p.Now(), e)
			p.failures = append(p.failures, e)
		case err != nil:
			return err
		case !gone:
			p.running++
		}
	}
	for key, s := range p.steps {
		if s.Delete && s.State == stepRunning && !holds(extra, key) {
			s.end(stepDone, p.Now(), nil)
			p.waiting.done(s.ID, p.r.ID)
		}
	}
	return nil
}

func holds(rs []*arm.Resource, key string) bool {
	for _, r := range rs {
		if strings.ToLower(r.ID) == key {
			return true
		}
	}
	return false
}

// extra are the group's own resources, without those inside others, that the template does not name.
func (p *run) extra(ctx context.Context) ([]*arm.Resource, error) {
	group := p.r.ParsedID().Group().String()
	all, err := p.Kernel.Resources().Below(ctx, group, "")
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, r := range p.t.Resources {
		wanted[strings.ToLower(r.ID)] = true // also one whose condition is false: as in Azure since 2019, it is deleted
		if r.Skipped {
			delete(wanted, strings.ToLower(r.ID))
		}
	}
	var out []*arm.Resource
	for _, r := range all {
		id := r.ParsedID()
		if len(id.Names) > 1 || r.Type == Name || !strings.EqualFold(id.Scope, group) || wanted[id.Key()] || r.ManagedBy != "" {
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

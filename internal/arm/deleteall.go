package arm

import (
	"context"
	"errors"
	"strings"
	"time"
)

// DeleteAll deletes everything below r (a group, or a resource with children) in the order of
// Type.DeleteAfter, and as much at once as that order allows. It is Done when nothing is left. What
// refuses to go (something outside uses it) is tried again as long as others still go; when
// nothing moves any more, the refusals are the *TerminalError. The kernel calls it for
// every resource that is being deleted, before Type.Remove: a type needs to call it only for something else than itself.
func (s *Server) DeleteAll(ctx context.Context, r *Resource) (Progress, error) {
	all, err := s.read.Below(ctx, r.ID, "")
	if err != nil {
		return Progress{}, err
	}
	total, _ := r.Private["toDelete"].(float64)
	if float64(len(all)) > total {
		total = float64(len(all))
		if r.Private == nil {
			r.Private = map[string]any{}
		}
		r.Private["toDelete"] = total
	}
	if len(all) == 0 {
		return Progress{Done: true, Percent: 100}, nil
	}
	since := r.ChangedAt
	if op, err := s.operation(ctx, r.Operation); err != nil {
		return Progress{}, err
	} else if op != nil {
		since = op.Start
	}
	var ready, waiting []*Resource
	var failed []*Error
	going := 0
	for _, top := range tops(all) {
		switch {
		case top.Deleting && top.State != StateFailed:
			going++
		case top.Deleting && top.Error != nil && top.ChangedAt.After(since):
			failed = append(failed, top.Error)
		case s.mustWait(top, all):
			waiting = append(waiting, top)
		default:
			ready = append(ready, top)
		}
	}
	marked, refused, err := s.mark(ctx, ready)
	if err != nil {
		return Progress{}, err
	}
	going += marked
	failed = append(failed, refused...)
	if going == 0 && len(failed) == 0 { // only an order that goes in a circle leads here
		if going, failed, err = s.mark(ctx, waiting); err != nil {
			return Progress{}, err
		}
	}
	if going == 0 {
		return Progress{}, Terminal(undeletable(r, failed))
	}
	return Progress{Percent: 100 * (1 - float64(len(all))/total), Note: "deletes what it contains", After: 2 * time.Second}, nil
}

// mark deletes the resources, and returns how many go and why the others do not.
func (s *Server) mark(ctx context.Context, rs []*Resource) (going int, refused []*Error, err error) {
	for _, r := range rs {
		_, _, err := s.remove(ctx, &change{id: r.ParsedID(), typ: s.typeNamed(r.Type), principal: System, cascade: true})
		var e *Error
		switch {
		case err == nil:
			going++
		case errors.As(err, &e):
			refused = append(refused, e)
		default:
			return going, refused, err
		}
	}
	return going, refused, nil
}

// tops are the resources that no other of the list contains.
func tops(all []*Resource) []*Resource {
	keys := map[string]bool{}
	for _, r := range all {
		keys[r.ParsedID().Key()] = true
	}
	var out []*Resource
	for _, r := range all {
		contained := false
		key := r.ParsedID().Key()
		for i := strings.LastIndex(key, "/"); i > 0 && !contained; i = strings.LastIndex(key[:i], "/") {
			contained = keys[key[:i]]
		}
		if !contained {
			out = append(out, r)
		}
	}
	return out
}

// mustWait tells whether something that goes before r is still there.
func (s *Server) mustWait(r *Resource, all []*Resource) bool {
	own := r.ParsedID().Key() + "/"
	for _, first := range s.typeNamed(r.Type).DeleteAfter {
		for _, other := range all {
			if strings.EqualFold(other.Type, first) && other.ID != r.ID && !strings.HasPrefix(other.ParsedID().Key(), own) {
				return true
			}
		}
	}
	return false
}

func undeletable(r *Resource, causes []*Error) *Error {
	if len(causes) == 1 && r.Type != groupType {
		return causes[0]
	}
	var messages []string
	for _, c := range causes {
		messages = append(messages, c.Message)
	}
	code, what := "ResourceDeletionBlocked", "resource"
	if r.Type == groupType {
		code, what = "ResourceGroupDeletionBlocked", "resource group"
	}
	e := Conflict(code, "Deletion of %s '%s' failed because of what it contains: %s", what, r.Name, strings.Join(messages, " "))
	e.Details = causes
	return e
}

func isCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

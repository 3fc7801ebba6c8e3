package deployments

import (
	"encoding/json"
	"fmt"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/template"
)

// What a step's state may be.
const (
	stepRunning = "Running"
	stepDone    = "Succeeded"
	stepFailed  = "Failed"
	stepSkipped = "Skipped" // its condition is false
)

// step is how far one resource of a deployment is. A resource without one was not begun.
type step struct {
	State     string     `json:"state"`
	Operation string     `json:"operation,omitempty"` // key of the one that is waited for; empty: the write is to be repeated
	Error     *arm.Error `json:"error,omitempty"`
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	Name      string     `json:"name"`
	Began     time.Time  `json:"began"`
	Ended     time.Time  `json:"ended,omitzero"`
	Read      bool       `json:"read,omitempty"`   // it exists outside the deployment
	Delete    bool       `json:"delete,omitempty"` // of the mode Complete: it goes
}

func (s *step) end(state string, now time.Time, cause *arm.Error) {
	s.State, s.Ended, s.Error, s.Operation = state, now.UTC(), cause, ""
}

// steps are a deployment's, by id in lower case, as they are kept in Resource.Private.
type steps map[string]*step

func readSteps(r *arm.Resource) (steps, error) {
	out := steps{}
	return out, decode(r.Private[keySteps], &out)
}

// write keeps the steps in the resource.
func (s steps) write(r *arm.Resource) error {
	var plain map[string]any
	if err := decode(s, &plain); err != nil {
		return err
	}
	r.Private[keySteps] = plain
	return nil
}

// of is the step of a template's resource, made if it is not begun.
func (s steps) of(key string, r *template.Resource, now time.Time) *step {
	if s[key] == nil {
		s[key] = &step{ID: r.ID, Type: r.Type, Name: r.Name, Began: now.UTC(), State: stepRunning, Read: r.Existing}
	}
	return s[key]
}

// decode brings a JSON value into another form.
func decode(from, to any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

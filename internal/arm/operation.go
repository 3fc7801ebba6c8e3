package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// Operation is a write, delete or action under way, or one that ended less than a
// day ago. It is stored at its Key, and committed together with its resource.
// https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
type Operation struct {
	ID        string          `json:"id"`
	Resource  string          `json:"resource"` // id
	Kind      string          `json:"kind"`     // write, delete, or the action's name
	Status    string          `json:"status"`   // InProgress, Succeeded, Failed, Canceled
	Percent   float64         `json:"percent"`
	Note      string          `json:"note,omitempty"`
	Error     *Error          `json:"error,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`  // of an action
	Cascade   bool            `json:"cascade,omitempty"` // a delete because what contains the resource goes
	Principal string          `json:"principal,omitempty"`
	Start     time.Time       `json:"start"`
	End       time.Time       `json:"end,omitzero"`
	Rev       int64           `json:"-"`
}

// What an operation's status may be.
const (
	InProgress = "InProgress"
	Succeeded  = "Succeeded"
	Failed     = "Failed"
	Canceled   = "Canceled"
)

const (
	opPrefix = "/op/"
	// keepOperations is how long an ended operation can be asked about.
	keepOperations = 24 * time.Hour
)

// Key is where the operation is stored; Resource.Operation holds it.
func (o *Operation) Key() string { return opPrefix + o.ID }

func (o *Operation) ended() bool { return o.Status != InProgress }

func (s *Server) newOperation(kind string, id resourceid.ID, p Principal) *Operation {
	return &Operation{ID: uuid.NewString(), Resource: id.String(), Kind: kind, Status: InProgress, Principal: p.ObjectID, Start: s.Now().UTC()}
}

// end adds the operation's end to a transaction, which must hold the resource's revision: whatever
// ends an operation changes its resource too, so a note that is written meanwhile may be overwritten.
func (s *Server) end(tx *store.Tx, op *Operation, status string, cause *Error) {
	op.Status, op.Error, op.End, op.Note = status, cause, s.Now().UTC(), ""
	if status == Succeeded {
		op.Percent = 100
	}
	tx.Put(op.Key(), op)
}

// operation reads one; nil if there is none at this key.
func (s *Server) operation(ctx context.Context, key string) (*Operation, error) {
	if key == "" {
		return nil, nil
	}
	op := &Operation{}
	rev, err := s.Store.Get(ctx, key, op)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("operation: %w", err)
	}
	op.Rev = rev
	return op, nil
}

// running is the operation that runs on the resource, or nil.
func (s *Server) running(ctx context.Context, r *Resource) (*Operation, error) {
	if r == nil {
		return nil, nil
	}
	op, err := s.operation(ctx, r.Operation)
	if err != nil || op == nil || op.ended() {
		return nil, err
	}
	return op, nil
}

// note writes how far an operation is, if that is news. A conflict means that it ended meanwhile.
func (s *Server) note(ctx context.Context, key string, percent float64, note string) error {
	op, err := s.operation(ctx, key)
	if err != nil || op == nil || op.ended() || op.Percent == percent && op.Note == note {
		return err
	}
	if note != "" && note != op.Note {
		s.Logger.InfoContext(ctx, "operation goes on", "resource", op.Resource, "operation", op.ID, "percent", percent, "note", note)
	}
	op.Percent, op.Note = percent, note
	_, err = s.Store.Commit(ctx, (&store.Tx{}).Update(key, op.Rev, op))
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// links are the headers that lead a client to an operation. Location only is for
// what ends without a resource to look at: deletes and actions.
func (s *Server) links(op *Operation, r *Resource, apiVersion string) map[string]string {
	base := s.BaseURL + operationBase(r.ParsedID(), r.Location())
	query := op.ID + "?api-version=" + apiVersion
	h := map[string]string{"Azure-AsyncOperation": base + "/operations/" + query, "Retry-After": "1"}
	if op.Kind != "write" {
		h["Location"] = base + "/operationresults/" + query
	}
	return h
}

// operationBase is where the operations on a resource are asked about.
func operationBase(id resourceid.ID, location string) string {
	namespace := id.Namespace
	if namespace == "" {
		namespace = "Microsoft.Resources"
	}
	if location == "" {
		location = "global"
	}
	base := ""
	if sub := id.Subscription(); sub != "" {
		base = "/subscriptions/" + sub
	}
	return base + "/providers/" + namespace + "/locations/" + strings.ToLower(strings.ReplaceAll(location, " ", ""))
}

// operationPath recognises {sub}/providers/{ns}/locations/{loc}/operations|operationresults/{id}.
func operationPath(segs []string) (id string, results, ok bool) {
	n := len(segs)
	if n < 6 || n > 8 || !strings.EqualFold(segs[n-6], "providers") || !strings.EqualFold(segs[n-4], "locations") {
		return "", false, false
	}
	if n == 7 || n == 8 && !strings.EqualFold(segs[0], "subscriptions") {
		return "", false, false
	}
	switch strings.ToLower(segs[n-2]) {
	case "operations", "operationstatuses":
		return segs[n-1], false, true
	case "operationresults":
		return segs[n-1], true, true
	}
	return "", false, false
}

// serveOperation answers a poll. Whoever began the operation may ask, and whoever may read its resource.
func (s *Server) serveOperation(ctx context.Context, q *request, id string, results bool) (*Response, error) {
	missing := NotFound("OperationNotFound", "There is no operation '%s', or it ended more than a day ago.", printable(id))
	if _, err := uuid.Parse(id); err != nil {
		return nil, missing
	}
	op, err := s.operation(ctx, opPrefix+strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	if op == nil {
		return nil, missing
	}
	rid := resourceid.MustParse(op.Resource)
	if sub := rid.Subscription(); sub != "" && (len(q.segs) < 2 || !strings.EqualFold(q.segs[1], sub)) {
		return nil, missing
	}
	if op.Principal == "" || op.Principal != q.principal.ObjectID {
		if err := s.authorize(ctx, q.principal, s.typeNamed(rid.Type()).Name+"/read", op.Resource); err != nil {
			return nil, err
		}
	}
	path := "/" + strings.Join(q.segs, "/")
	if results {
		return s.operationResult(ctx, q, op, path)
	}
	resp := &Response{Headers: map[string]string{}, Body: operationStatus(op, path)}
	if !op.ended() {
		resp.Headers["Retry-After"] = "1"
	}
	return resp, nil
}

func operationStatus(op *Operation, path string) map[string]any {
	body := map[string]any{"id": path, "name": op.ID, "status": op.Status, "percentComplete": op.Percent, "startTime": op.Start.Format(time.RFC3339Nano)}
	if op.ended() {
		body["endTime"] = op.End.Format(time.RFC3339Nano)
	}
	if op.Error != nil {
		body["error"] = op.Error
	}
	if op.Note != "" {
		body["properties"] = map[string]any{"statusMessage": op.Note}
	}
	return body
}

func (s *Server) operationResult(ctx context.Context, q *request, op *Operation, path string) (*Response, error) {
	switch {
	case !op.ended():
		return &Response{Status: http.StatusAccepted, Headers: map[string]string{
			"Location": s.BaseURL + path + "?api-version=" + q.apiVersion, "Retry-After": "1",
		}}, nil
	case op.Status != Succeeded:
		if op.Error != nil {
			e := *op.Error
			if e.Status < http.StatusBadRequest {
				e.Status = http.StatusConflict
			}
			return nil, &e
		}
		return nil, Conflict("OperationFailed", "The operation ended as %s.", op.Status)
	case op.Result != nil:
		return &Response{Body: op.Result}, nil
	case op.Kind == "write":
		r, err := s.read.Get(ctx, op.Resource)
		if IsNotFound(err) {
			return &Response{Status: http.StatusNoContent}, nil
		}
		if err != nil {
			return nil, err
		}
		return s.shown(ctx, r, http.StatusOK)
	}
	return &Response{Status: http.StatusNoContent}, nil
}

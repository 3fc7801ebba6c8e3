package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/httpbound"
	"cloister.dev/cloister/internal/store"
)

// clientID is what an id that a client made may look like, to be repeated in answers and logs.
var clientID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// Handler answers ARM requests. It must see paths as they came: behind an
// http.ServeMux, wrap the mux with CollapseSlashes.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	id := uuid.NewString()
	h := w.Header() // names in the form that net/http keeps need no rewriting
	h.Set("X-Ms-Request-Id", id)
	h.Set("X-Ms-Correlation-Request-Id", id)
	if c := r.Header.Get("X-Ms-Correlation-Request-Id"); clientID.MatchString(c) {
		h.Set("X-Ms-Correlation-Request-Id", c)
	}
	if c := r.Header.Get("X-Ms-Client-Request-Id"); clientID.MatchString(c) && strings.EqualFold(r.Header.Get("X-Ms-Return-Client-Request-Id"), "true") {
		h.Set("X-Ms-Client-Request-Id", c)
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")

	q := &request{http: r}
	resp, err := s.guarded(r.Context(), q)
	if err != nil {
		resp = s.errorResponse(r.Context(), id, err)
	}
	s.send(w, r, resp)
	s.logRequest(q, id, resp, err, time.Since(begin))
}

// guarded makes an error of a panic.
func (s *Server) guarded(ctx context.Context, q *request) (resp *Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return s.serve(ctx, q)
}

// serve answers a request, or returns why not.
func (s *Server) serve(ctx context.Context, q *request) (*Response, error) {
	segs, problem := splitPath(q.http.URL.EscapedPath())
	if problem != nil {
		return nil, problem
	}
	q.segs = segs
	if q.query, problem = parseQuery(q.http.URL.RawQuery); problem != nil {
		return nil, problem
	}
	var err error
	if q.principal, err = s.Authenticator.Authenticate(q.http); err != nil {
		return nil, err
	}
	q.apiVersion = q.query["api-version"]
	if q.apiVersion == "" {
		return nil, BadRequest("MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
	}
	if !clientID.MatchString(q.apiVersion) {
		return nil, BadRequest("InvalidApiVersionParameter", "The api-version '%s' is invalid. The format is 'yyyy-MM-dd', with '-preview' where it is one.", printable(q.apiVersion))
	}
	if err := s.checkSubscription(ctx, segs); err != nil {
		return nil, err
	}
	return s.dispatch(ctx, q)
}

func (s *Server) checkSubscription(ctx context.Context, segs []string) error {
	if s.HasSubscription == nil || len(segs) < 2 || !strings.EqualFold(segs[0], "subscriptions") {
		return nil
	}
	ok, err := s.HasSubscription(ctx, segs[1])
	if err == nil && !ok {
		return NotFound("SubscriptionNotFound", "The subscription '%s' could not be found. `az account list` shows those that you may use.", printable(segs[1]))
	}
	return err
}

// errorResponse renders an error: the only place that does.
func (s *Server) errorResponse(ctx context.Context, requestID string, err error) *Response {
	var e *Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, store.ErrTooLarge):
		e = Errorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The resource is larger than Cloister stores. Make it smaller.")
	case errors.Is(err, store.ErrFull):
		e = Errorf(http.StatusInsufficientStorage, "InsufficientStorage", "Cloister's store is full. Delete what is not needed, or give it more room.")
	case ctx.Err() != nil, errors.Is(err, httpbound.ErrBusy):
		e = Errorf(http.StatusServiceUnavailable, "ServerBusy", "The request was given up before it was done. Send it again.")
	default:
		e = Errorf(http.StatusInternalServerError, "InternalServerError", "The server met an error that it does not know. `cloister logs` shows it beside the request id %s.", requestID)
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	resp := &Response{Status: status, Body: map[string]any{"error": e}, Headers: map[string]string{"x-ms-error-code": e.Code}}
	switch status {
	case http.StatusServiceUnavailable:
		resp.Headers["Retry-After"] = "5"
	case http.StatusUnauthorized:
		resp.Headers["Connection"] = "close" // nothing more of its body is read
		resp.Headers["WWW-Authenticate"] = fmt.Sprintf(`Bearer authorization_uri="%s/%s", error="invalid_token", error_description="%s"`, s.BaseURL, s.TenantID, e.Code)
	}
	return resp
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, resp *Response) {
	if resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	h := w.Header()
	for k, v := range resp.Headers {
		h.Set(k, v)
	}
	if resp.Body == nil {
		w.WriteHeader(resp.Status)
		return
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	b, done, err := encode(resp.Body)
	defer done()
	if err != nil {
		s.Logger.ErrorContext(r.Context(), "answer cannot be encoded", "path", printable(r.URL.Path), "error", err)
		resp.Status = http.StatusInternalServerError
		b = []byte(`{"error":{"code":"InternalServerError","message":"The answer could not be encoded."}}`)
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(resp.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // the client is gone: nobody to tell
	}
}

// encode is the body in JSON. done must be called when b was sent.
func encode(body any) (b []byte, done func(), err error) {
	switch body := body.(type) {
	case rendered:
		return body, func() {}, nil
	case listing:
		buf := buffers.Get().(*[]byte)
		*buf, err = body.appendTo((*buf)[:0])
		return *buf, func() {
			if cap(*buf) <= keptBuffer {
				buffers.Put(buf)
			}
		}, err
	}
	b, err = json.Marshal(body)
	return b, func() {}, err
}

func (s *Server) logRequest(q *request, id string, resp *Response, err error, took time.Duration) {
	level := slog.LevelInfo
	if q.http.Method == http.MethodGet || q.http.Method == http.MethodHead {
		level = slog.LevelDebug
	}
	if resp.Status >= 500 {
		level = slog.LevelError
	}
	if !s.Logger.Enabled(q.http.Context(), level) {
		return
	}
	args := []any{"method", q.http.Method, "path", printable(q.http.URL.Path), "status", resp.Status, "ms", took.Milliseconds(), "request", id, "principal", q.principal.ObjectID}
	if c := q.http.Header.Get("CommandName"); c != "" {
		args = append(args, "command", printable(c))
	}
	if err != nil {
		args = append(args, "error", err)
	}
	s.Logger.Log(q.http.Context(), level, "request", args...)
}

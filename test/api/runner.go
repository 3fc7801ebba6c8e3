// Package api runs tests of the API that are folders of numbered steps: each
// step is a JSON file with a request and what its answer must be like. A new test is a new
// folder, without Go.
//
// A step:
//
//	{
//	  "note":    "why this is asked",
//	  "as":      "reader",                        who asks, of Target.Tokens; default "admin", "" nobody
//	  "request": {"method": "PUT", "path": "/subscriptions/${sub}/...", "headers": {}, "body": {}, "raw": "text instead of body"},
//	  "expect":  {"status": 201, "headers": {"ETag": "*"}, "body": {}},
//	  "until":   true,                            ask again until the answer is as expected
//	  "save":    {"poll": "header Azure-AsyncOperation", "id": "body value.0.id"}
//	}
//
// Of objects only the members named are compared; arrays have as many elements as named, or, with
// "..." first, contain the others in any order. Texts: "*" is any text that is not empty, "~x" matches the
// regular expression x, "<absent>" stands for a member that must not be there. ${name} is a
// value of Target.Vars or one saved before. api-version=2024-01-01 is added to paths without one, unless "noVersion" is true.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long a step with "until" may take.
const patience = time.Minute

// Target is a server under test.
type Target struct {
	Handler http.Handler
	Vars    map[string]string
	Tokens  map[string]string // bearer tokens by name
}

type step struct {
	Note      string            `json:"note"`
	As        *string           `json:"as"`
	NoVersion bool              `json:"noVersion"`
	Request   stepRequest       `json:"request"`
	Expect    expectation       `json:"expect"`
	Until     bool              `json:"until"`
	Save      map[string]string `json:"save"`
}

type stepRequest struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Raw     string            `json:"raw"`
}

type expectation struct {
	Status  any               `json:"status"` // a number, or a list of them
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body"`
}

// Run runs every folder in dir as a test against a target of its own.
func Run(t *testing.T, dir string, setup func(t *testing.T) Target) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string][]string{}
	for _, f := range folders {
		steps[filepath.Dir(f)] = append(steps[filepath.Dir(f)], f)
	}
	if len(steps) == 0 {
		t.Fatalf("no steps in %s", dir)
	}
	for folder, files := range steps {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			sort.Strings(files)
			target := setup(t)
			vars := map[string]string{}
			for k, v := range target.Vars {
				vars[k] = v
			}
			for _, f := range files {
				if !t.Run(strings.TrimSuffix(filepath.Base(f), ".json"), func(t *testing.T) { runStep(t, f, target, vars) }) {
					return // what follows builds on it
				}
			}
		})
	}
}

func runStep(t *testing.T, file string, target Target, vars map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseStep(raw, vars)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		answer := s.send(ctx, target)
		problems := s.Expect.compare(answer)
		if len(problems) == 0 {
			if err := s.save(answer, vars); err != nil {
				t.Fatal(err)
			}
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
			if s.Until {
				continue
			}
		}
		t.Fatalf("%s\n%s %s\n  %s\nanswer %d %s", s.Note, s.Request.Method, s.Request.Path, strings.Join(problems, "\n  "), answer.Code, answer.Body)
	}
}

// parseStep puts the variables in and decodes; unknown members are mistakes.
func parseStep(raw []byte, vars map[string]string) (*step, error) {
	text := string(raw)
	for k, v := range vars {
		quoted, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		text = strings.ReplaceAll(text, "${"+k+"}", string(quoted[1:len(quoted)-1]))
	}
	if i := strings.Index(text, "${"); i >= 0 {
		return nil, fmt.Errorf("unknown variable at %.30s", text[i:])
	}
	s := &step{}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, err
	}
	if s.Request.Method == "" || s.Request.Path == "" || s.Expect.Status == nil {
		return nil, fmt.Errorf("a step needs request.method, request.path and expect.status")
	}
	return s, nil
}

func (s *step) send(ctx context.Context, target Target) *httptest.ResponseRecorder {
	path := s.Request.Path
	if u, err := url.Parse(path); err == nil && u.Scheme != "" {
		path = u.RequestURI()
	}
	if !s.NoVersion && !strings.Contains(path, "api-version=") {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		path += sep + "api-version=2024-01-01"
	}
	body := []byte(s.Request.Raw)
	if s.Request.Raw == "" {
		body = s.Request.Body
	}
	r := httptest.NewRequest(s.Request.Method, strings.ReplaceAll(path, " ", "%20"), bytes.NewReader(body)).WithContext(ctx)
	r.Header.Set("Content-Type", "application/json")
	as := "admin"
	if s.As != nil {
		as = *s.As
	}
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+target.Tokens[as])
	}
	for k, v := range s.Request.Headers {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	target.Handler.ServeHTTP(w, r)
	return w
}

func (e *expectation) compare(w *httptest.ResponseRecorder) []string {
	var out []string
	want := []any{e.Status}
	if list, ok := e.Status.([]any); ok {
		want = list
	}
	if !slices.Contains(want, any(float64(w.Code))) {
		out = append(out, fmt.Sprintf("status is %d, want %v", w.Code, e.Status))
	}
	wantHeaders, headers := map[string]any{}, map[string]any{}
	for k, v := range e.Headers {
		wantHeaders[k] = v
		if h := w.Header().Get(k); h != "" {
			headers[k] = h
		}
	}
	out = append(out, differences("headers", wantHeaders, headers)...)
	if e.Body == nil {
		return out
	}
	var got any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		return append(out, fmt.Sprintf("body is no JSON: %v", err))
	}
	return append(out, differences("body", e.Body, got)...)
}

// member is what v has by the name, or, of an array, at the place.
func member(v any, name string) any {
	if list, ok := v.([]any); ok {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(list) {
			return nil
		}
		return list[i]
	}
	m, _ := v.(map[string]any)
	return m[name]
}

func (s *step) save(w *httptest.ResponseRecorder, vars map[string]string) error {
	for name, from := range s.Save {
		kind, path, _ := strings.Cut(from, " ")
		value := ""
		switch kind {
		case "header":
			value = w.Header().Get(path)
		case "body":
			var v any
			if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
				return err
			}
			for word := range strings.SplitSeq(path, ".") {
				v = member(v, word)
			}
			if v != nil {
				value = fmt.Sprint(v)
			}
		}
		if value == "" {
			return fmt.Errorf("nothing to save as %s: %s", name, from)
		}
		vars[name] = value
	}
	return nil
}

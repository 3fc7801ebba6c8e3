package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

const maxGraphBody = 256 << 10

// graph is the part of Microsoft Graph that clients use beside ARM:
// https://learn.microsoft.com/graph/api/overview
type graph struct {
	site          site
	directory     *Directory
	authorizer    *Authorizer
	authenticator *Authenticator
}

// graphError is rendered as {"error":{"code","message"}}.
type graphError struct {
	status  int
	code    string
	message string
}

func (e graphError) Error() string { return e.code + ": " + e.message }

func noObject(id string) error {
	return graphError{404, "Request_ResourceNotFound", "Resource '" + clip(id) + "' does not exist or one of its queried reference-property objects are not present."}
}

// call is one request to Graph.
type call struct {
	r    *http.Request
	who  arm.Principal
	path []string // after /msgraph/v1.0, as sent
	body map[string]any
}

// text is a string of the body.
func (c *call) text(name string) string { s, _ := c.body[name].(string); return s }

func (g *graph) serve(w http.ResponseWriter, r *http.Request, rest string) {
	status, answer, err := g.answer(w, r, rest)
	if err != nil {
		var e graphError
		var a *arm.Error
		switch {
		case errors.As(err, &e):
		case errors.As(err, &a):
			e = graphError{a.Status, a.Code, a.Message}
		default:
			slog.ErrorContext(r.Context(), "graph request failed", "path", r.URL.Path, "error", err)
			e = graphError{500, "InternalServerError", "The directory cannot be read. Try again."}
		}
		reply(w, e.status, map[string]any{"error": map[string]any{"code": e.code, "message": e.message}})
		return
	}
	if answer == nil {
		w.WriteHeader(status)
		return
	}
	reply(w, status, answer)
}

func (g *graph) answer(w http.ResponseWriter, r *http.Request, rest string) (int, any, error) {
	who, err := g.authenticator.Authenticate(r)
	if err != nil {
		return 0, nil, err
	}
	c := &call{r: r, who: who}
	for seg := range strings.SplitSeq(rest, "/") {
		if seg != "" {
			c.path = append(c.path, seg)
		}
	}
	if len(c.path) < 2 || c.path[0] != "v1.0" && c.path[0] != "beta" {
		return 0, nil, graphError{400, "BadRequest", "Ask below /msgraph/v1.0/."}
	}
	c.path = c.path[1:]
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		r.Body = http.MaxBytesReader(w, r.Body, maxGraphBody)
		if err := json.NewDecoder(r.Body).Decode(&c.body); err != nil {
			return 0, nil, graphError{400, "BadRequest", fmt.Sprintf("The body is not a JSON object of at most %d bytes.", maxGraphBody)}
		}
	}
	kind := strings.ToLower(c.path[0])
	switch r.Method {
	case http.MethodGet:
		return g.read(c, kind)
	case http.MethodPost:
		if kind == "directoryobjects" && len(c.path) == 2 && strings.EqualFold(c.path[1], "getByIds") {
			return g.byIDs(c)
		}
		return g.create(c, kind)
	case http.MethodDelete:
		if len(c.path) == 2 {
			return g.remove(c, kind)
		}
	}
	return 0, nil, g.unknown(c)
}

func (g *graph) unknown(c *call) error {
	return graphError{400, "Request_BadRequest", "This service does not know " + c.r.Method + " " + clip("/"+strings.Join(c.path, "/")) + " of Microsoft Graph."}
}

// manages tells whether the caller may change the directory: who may give roles at the tenant's root.
func (g *graph) manages(c *call) bool {
	return g.authorizer.Authorize(c.r.Context(), c.who, TypeAssignment+"/write", "/") == nil
}

var errGraphDenied = graphError{403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation. An Owner or User Access Administrator of the tenant root '/' may do it."}

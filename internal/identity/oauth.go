package identity

import (
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxForm     = 64 << 10
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
)

// oauthError is an error of RFC 6749 §5.2 with Microsoft's number:
// https://learn.microsoft.com/azure/active-directory/develop/reference-error-codes
type oauthError struct {
	Status int
	Code   string // invalid_grant
	Number int    // 50126, for AADSTS50126
	Text   string // what is wrong and what to do
}

func (e oauthError) Error() string { return fmt.Sprintf("AADSTS%d: %s", e.Number, e.Text) }

// fail renders an error. az prints the description.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e oauthError
	if !errors.As(err, &e) {
		slog.ErrorContext(r.Context(), "sign-in failed", "path", r.URL.Path, "error", err)
		e = oauthError{500, "server_error", 90033, "A part of the service is not available at the moment. Try again."}
	}
	now, trace, correlation := time.Now().UTC().Format("2006-01-02 15:04:05Z"), newID(), r.Header.Get("client-request-id")
	if !validGUID(correlation) {
		correlation = newID()
	}
	reply(w, e.Status, map[string]any{
		"error": e.Code, "error_codes": []int{e.Number}, "timestamp": now, "trace_id": trace, "correlation_id": correlation,
		"error_description": fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s", e.Error(), trace, correlation, now),
	})
}

// form reads a form-encoded body of bounded size.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/x-www-form-urlencoded" {
		return nil, oauthError{400, "invalid_request", 900144, "The body must be sent as application/x-www-form-urlencoded."}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, oauthError{413, "invalid_request", 90013, fmt.Sprintf("The body is larger than %d bytes.", maxForm)}
		}
		return nil, oauthError{400, "invalid_request", 90013, "The body is not a valid form."}
	}
	return r.PostForm, nil
}

// request is one call of the token endpoint.
type request struct {
	form     url.Values
	place    place
	client   string // app id, as sent
	audience string
	scopes   []string
	address  string // of the client
}

// token answers the token endpoint.
func (h *Handler) token(w http.ResponseWriter, r *http.Request, p place) {
	answer, err := h.grant(w, r, p)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, answer)
}

func (h *Handler) grant(w http.ResponseWriter, r *http.Request, p place) (map[string]any, error) {
	f, err := form(w, r)
	if err != nil {
		return nil, err
	}
	q := &request{form: f, place: p, client: f.Get("client_id"), address: address(r)}
	if id, secret, ok := r.BasicAuth(); ok && q.client == "" {
		q.client = id
		f.Set("client_secret", secret)
	}
	if q.client == "" {
		return nil, oauthError{400, "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'."}
	}
	kind := f.Get("grant_type")
	if kind == "device_code" { // MSAL for Go says it as the drafts of RFC 8628 did
		kind = deviceGrant
	}
	if kind != deviceGrant { // there, the scopes came with the code
		if q.audience, q.scopes, err = h.target(r.Context(), f); err != nil {
			return nil, err
		}
	}
	switch kind {
	case "client_credentials":
		return h.clientCredentials(r.Context(), q)
	case "password":
		return h.password(r.Context(), q)
	case "refresh_token":
		return h.refresh(r.Context(), q)
	case deviceGrant:
		return h.deviceToken(r.Context(), q)
	case "":
		return nil, oauthError{400, "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'."}
	}
	return nil, oauthError{400, "unsupported_grant_type", 70003, "The grant type '" + clip(kind) + "' is not supported. Use client_credentials, password, refresh_token or " + deviceGrant + "."}
}

// userAnswer is the answer for a user; the scope is exactly what was asked for,
// otherwise MSAL does not find the token in its cache.
func (h *Handler) userAnswer(q *request, p *Principal, refresh string) (map[string]any, error) {
	_, iss := h.tree(q.place)
	g := grant{Principal: p, Client: q.client, Issuer: iss, Audience: q.audience}
	access, err := h.issuer.access(g)
	if err != nil {
		return nil, err
	}
	seconds := int(h.issuer.lifetime/time.Second) - 1
	answer := map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": access,
		"refresh_token": refresh, "foci": "1", "client_info": h.issuer.clientInfo(p),
	}
	if len(q.scopes) > 0 {
		answer["scope"] = strings.Join(q.scopes, " ")
	}
	if slices.Contains(q.scopes, "openid") || q.place.adfs {
		if answer["id_token"], err = h.issuer.id(g, q.form.Get("nonce")); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

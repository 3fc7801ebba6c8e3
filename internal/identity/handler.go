package identity

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Handler serves sign-in: cloud metadata, discovery documents, tokens, the
// device code page, and what clients ask Microsoft Graph.
type Handler struct {
	site      site
	directory *Directory
	issuer    *issuer
	tokens    *refreshTokens
	devices   *devices
	throttle  *throttle
	graph     *graph
	authorize *Authorizer
}

func newHandler(s *Service, at site, lifetime time.Duration) *Handler {
	return &Handler{
		site: at, directory: s.Directory,
		issuer:  &issuer{keys: s.Keys, site: at, lifetime: lifetime, groups: s.Authorizer.Groups, now: time.Now},
		tokens:  &refreshTokens{directory: s.Directory, now: time.Now},
		devices: newDevices(), throttle: newThrottle(), authorize: s.Authorizer,
		graph: &graph{site: at, directory: s.Directory, authorizer: s.Authorizer, authenticator: newAuthenticator(s.Keys, s.Authorizer, at, at.graphAudiences())},
	}
}

// sweep removes what expired, every hour until ctx ends.
func (h *Handler) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := h.tokens.sweep(ctx); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "expired refresh tokens stay", "error", err)
			}
		}
	}
}

// place is a path below one of the two authority trees.
type place struct {
	adfs   bool
	tenant string // as in the path; "" below /adfs without one
	rest   string // oauth2/token, in lower case
}

// belowTenant is what may follow a tenant in a path.
var belowTenant = []string{"oauth2", "v2.0", "discovery", ".well-known", "userrealm"}

// parsePath finds the tree, the tenant and the endpoint; false for a path of neither tree.
func parsePath(path string) (place, bool) {
	var segs []string
	for seg := range strings.SplitSeq(path, "/") {
		if seg != "" {
			segs = append(segs, seg)
		}
	}
	var p place
	if len(segs) > 0 && strings.EqualFold(segs[0], "adfs") {
		p.adfs, segs = true, segs[1:]
	}
	if len(segs) > 1 && !slices.Contains(belowTenant, strings.ToLower(segs[0])) {
		p.tenant, segs = segs[0], segs[1:]
	}
	if len(segs) == 0 || !slices.Contains(belowTenant, strings.ToLower(segs[0])) || p.tenant == "" && !p.adfs {
		return place{}, false
	}
	p.rest = strings.ToLower(strings.Join(segs, "/"))
	return p, true
}

// Owns tells whether a request for this path is the handler's.
func (h *Handler) Owns(path string) bool {
	first, rest, _ := strings.Cut(strings.ToLower(strings.TrimLeft(path, "/")), "/")
	switch first {
	case "adfs", "devicelogin", "msgraph":
		return true
	case "metadata":
		return strings.Trim(rest, "/") == "endpoints"
	case "subscriptions", "providers", "tenants", "":
		return false
	}
	_, ok := parsePath(path)
	return ok
}

// ServeHTTP implements http.Handler for the paths that Owns names.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	first, rest, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	switch strings.ToLower(first) {
	case "metadata":
		h.metadata(w, r)
		return
	case "devicelogin":
		h.deviceLogin(w, r)
		return
	case "msgraph":
		h.graph.serve(w, r, rest)
		return
	}
	p, ok := parsePath(r.URL.Path)
	if !ok {
		h.fail(w, r, oauthError{404, "not_found", 90015, "There is no such endpoint. See " + h.site.base + "/adfs/.well-known/openid-configuration."})
		return
	}
	if !h.knowsTenant(p.tenant) {
		h.fail(w, r, oauthError{400, "invalid_tenant", 90002, "Tenant '" + clip(p.tenant) + "' not found. This service has one tenant, '" + h.site.tenant + "' (" + h.site.domain + ")."})
		return
	}
	h.authority(w, r, p)
}

func (h *Handler) authority(w http.ResponseWriter, r *http.Request, p place) {
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch p.rest {
	case ".well-known/openid-configuration", "v2.0/.well-known/openid-configuration":
		if get {
			reply(w, http.StatusOK, h.discovery(p))
			return
		}
	case "discovery/keys", "discovery/v2.0/keys":
		if get {
			reply(w, http.StatusOK, h.issuer.keys.Public())
			return
		}
	case "discovery/instance":
		if get {
			reply(w, http.StatusOK, h.instance())
			return
		}
	case "oauth2/token", "oauth2/v2.0/token":
		if r.Method == http.MethodPost {
			h.token(w, r, p)
			return
		}
	case "oauth2/devicecode", "oauth2/v2.0/devicecode":
		if r.Method == http.MethodPost {
			h.deviceCode(w, r, p)
			return
		}
	case "oauth2/authorize", "oauth2/v2.0/authorize":
		h.page(w, r, http.StatusBadRequest, devicePage{Title: "Sign in with a code", Problem: "This service does not sign in through a browser window that a command opens. Run the command again with --use-device-code."})
		return
	default:
		if strings.HasPrefix(p.rest, "userrealm/") && get {
			reply(w, http.StatusOK, map[string]any{"ver": "1.0", "account_type": "Managed", "domain_name": h.site.domain, "cloud_instance_name": "cloister", "cloud_audience_urn": "urn:federation:cloister"})
			return
		}
		h.fail(w, r, oauthError{404, "not_found", 90015, "There is no such endpoint below this tenant."})
		return
	}
	h.fail(w, r, oauthError{405, "invalid_request", 900561, "The endpoint does not accept " + r.Method + " requests."})
}

func (h *Handler) knowsTenant(t string) bool {
	for _, known := range []string{"", "common", "organizations", "adfs", h.site.tenant, h.site.domain} {
		if strings.EqualFold(t, known) {
			return true
		}
	}
	return false
}

// reply writes v as JSON that nobody keeps.
func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encoding the answer failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may be gone
}

// clip bounds what is repeated of a client's text.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

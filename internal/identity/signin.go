package identity

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// address is where a request comes from, without the port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

var errLocked = oauthError{400, "invalid_grant", 50053, "There were too many sign-ins with a wrong password or code. Wait a few minutes and try again."}

// checkUser signs a user in by password. Every wrong answer takes as long as a
// right one, and says the same.
func (h *Handler) checkUser(ctx context.Context, address, name, password string) (*Principal, error) {
	keys := []string{"user " + name + " " + address, "address " + address}
	if !h.throttle.allows(keys...) {
		return nil, errLocked
	}
	p, err := h.directory.User(ctx, name)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	hash := nobodysHash()
	if err == nil && p.Password != "" {
		hash = p.Password
	}
	right, busy := checkPassword(ctx, hash, password)
	if busy != nil {
		return nil, oauthError{503, "temporarily_unavailable", 90033, "Too many sign-ins run at the same time. Try again."}
	}
	if !right || err != nil || p.Kind != KindUser {
		h.throttle.failed(keys...)
		return nil, oauthError{400, "invalid_grant", 50126, "Error validating credentials due to invalid username or password."}
	}
	if p.Disabled {
		return nil, oauthError{400, "invalid_grant", 50057, "The user account is disabled. Ask an administrator to enable it."}
	}
	h.throttle.succeeded(keys[0])
	return p, nil
}

// password is the resource owner password grant (RFC 6749 §4.3).
func (h *Handler) password(ctx context.Context, q *request) (map[string]any, error) {
	p, err := h.checkUser(ctx, q.address, q.form.Get("username"), q.form.Get("password"))
	if err != nil {
		return nil, err
	}
	refresh, err := h.tokens.start(ctx, p, q.client)
	if err != nil {
		return nil, err
	}
	return h.userAnswer(q, p, refresh)
}

// clientCredentials is the grant of a service principal (RFC 6749 §4.4).
func (h *Handler) clientCredentials(ctx context.Context, q *request) (map[string]any, error) {
	p, err := h.checkClient(ctx, q)
	if err != nil {
		return nil, err
	}
	_, iss := h.tree(q.place)
	access, err := h.issuer.access(grant{Principal: p, Client: q.client, Issuer: iss, Audience: q.audience})
	if err != nil {
		return nil, err
	}
	seconds := int(h.issuer.lifetime/time.Second) - 1
	return map[string]any{"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": access}, nil
}

func (h *Handler) checkClient(ctx context.Context, q *request) (*Principal, error) {
	secret := q.form.Get("client_secret")
	if secret == "" && q.form.Get("client_assertion") != "" {
		return nil, oauthError{401, "invalid_client", 700027, "This service does not know certificates or federated tokens of applications. Sign in with a client secret."}
	}
	if secret == "" {
		return nil, oauthError{401, "invalid_client", 7000216, "'client_assertion' or 'client_secret' is required for the 'client_credentials' grant type. Add the client secret to the request."}
	}
	where := "address " + q.address
	if !h.throttle.allows(where) {
		return nil, errLocked
	}
	app, err := h.directory.Application(ctx, q.client)
	if errors.Is(err, ErrUnknown) {
		h.throttle.failed(where)
		return nil, oauthError{400, "unauthorized_client", 700016, "Application with identifier '" + clip(q.client) + "' was not found in the directory '" + h.site.domain + "'. Check the client id and the tenant."}
	}
	if err != nil {
		return nil, err
	}
	now, sum, found, ended := h.issuer.now(), digest(secret), false, false
	for _, s := range app.Secrets {
		if sameDigest(s.Hash, sum) {
			found, ended = true, !s.End.IsZero() && now.After(s.End)
		}
	}
	if !found {
		h.throttle.failed(where)
		return nil, oauthError{401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '" + app.AppID + "'."}
	}
	if ended {
		return nil, oauthError{401, "invalid_client", 7000222, "The provided client secret keys for app '" + app.AppID + "' are expired. Make a new one with 'az ad app credential reset'."}
	}
	p, err := h.directory.Principal(ctx, app.ServicePrincipal)
	if errors.Is(err, ErrUnknown) || err == nil && p.Disabled {
		return nil, oauthError{401, "unauthorized_client", 7000112, "Application '" + app.AppID + "' has no enabled service principal in the tenant. Make one with 'az ad sp create --id " + app.AppID + "'."}
	}
	return p, err
}

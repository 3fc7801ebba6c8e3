package identity

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// identityScopes say what is told about the user, not which resource is meant.
var identityScopes = []string{"openid", "profile", "email", "offline_access"}

// audienceOf is the resource that a scope names: the part before the last
// segment (/.default, /user_impersonation). "https://host//.default" is for
// "https://host/", because that resource's name ends in a slash. "" when the
// scopes name no resource; all names the scopes one by one.
func audienceOf(scope string) (resource string, all []string) {
	all = strings.Fields(scope)
	for _, s := range all {
		if slices.Contains(identityScopes, strings.ToLower(s)) || resource != "" {
			continue
		}
		resource = s
		if i := strings.LastIndexByte(s, '/'); i > 0 && !strings.HasSuffix(s[:i], ":/") && i < len(s)-1 && resourceScope(s[i+1:]) {
			resource = s[:i]
		}
	}
	return resource, all
}

// resourceScope tells whether the last segment of a scope is a permission, and not a part of the resource's name.
func resourceScope(s string) bool { return s == ".default" || !strings.ContainsAny(s, ":/") }

// target finds the audience that is asked for by scope (v2) or resource (v1).
func (h *Handler) target(ctx context.Context, f url.Values) (audience string, scopes []string, err error) {
	audience, scopes = audienceOf(f.Get("scope"))
	if audience == "" {
		audience = f.Get("resource")
	}
	if audience == "" {
		return h.site.base + "/", scopes, nil
	}
	if audience, err = h.knownAudience(ctx, audience); err != nil {
		return "", nil, err
	}
	return audience, scopes, nil
}

func (h *Handler) knownAudience(ctx context.Context, audience string) (string, error) {
	if slices.Contains(h.site.armAudiences(), audience) || slices.Contains(h.site.graphAudiences(), audience) || audience == aksServerApp {
		return audience, nil
	}
	_, err := h.directory.Application(ctx, strings.TrimPrefix(audience, "api://"))
	if errors.Is(err, ErrUnknown) {
		return "", oauthError{400, "invalid_resource", 500011, "The resource principal named " + clip(audience) + " was not found in the tenant named " + h.site.tenant +
			". Ask for the scope '" + h.site.base + "/.default' (Azure Resource Manager) or '" + h.site.graph() + "/.default' (Microsoft Graph)."}
	}
	return audience, err
}

package identity

import "net/http"

// metadata answers GET /metadata/endpoints in the three shapes that clients
// ask for by api-version: flat (2015-01-01), a list (2019-05-01 to 2020-06-01),
// one object (2022-09-01).
func (h *Handler) metadata(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.fail(w, r, oauthError{405, "invalid_request", 900561, "The endpoint does not accept " + r.Method + " requests."})
		return
	}
	base := h.site.base + "/"
	version := r.URL.Query().Get("api-version")
	switch {
	case version < "2019":
		reply(w, http.StatusOK, map[string]any{
			"galleryEndpoint": base, "graphEndpoint": base + "graph/", "portalEndpoint": base,
			"authentication": map[string]any{"loginEndpoint": h.site.adfsIssuer(), "audiences": []string{base}},
		})
	case version < "2022":
		reply(w, http.StatusOK, []any{h.cloud()})
	default:
		reply(w, http.StatusOK, h.cloud())
	}
}

// cloud describes the endpoints. Terraform's provider wants identityProvider
// AAD and tenant common; the name is none of Microsoft's clouds, for which the
// clients know better than any answer.
func (h *Handler) cloud() map[string]any {
	base, suffix := h.site.base+"/", h.site.domain
	return map[string]any{
		"name": "Cloister", "resourceManager": base, "portal": base, "gallery": base,
		"graph": base + "graph/", "graphAudience": base + "graph/", "microsoftGraphResourceId": h.site.graph() + "/",
		"batch": base, "sqlManagement": base, "media": base, "vmImageAliasDoc": base + "vm-aliases.json",
		"activeDirectoryDataLake": base, "appInsightsResourceId": base, "logAnalyticsResourceId": base, "ossrdbmsResourceId": base,
		"authentication": map[string]any{
			"loginEndpoint": h.site.adfsIssuer(), "audiences": []string{base, h.site.base}, "tenant": "common", "identityProvider": "AAD",
		},
		"suffixes": map[string]any{
			"storage": "core." + suffix, "keyVaultDns": "vault." + suffix, "sqlServerHostname": "database." + suffix, "acrLoginServer": "azurecr." + suffix,
			"azureDataLakeStoreFileSystem": "azuredatalakestore." + suffix, "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics." + suffix,
		},
	}
}

// tree is the URL that a place's endpoints are below, and its issuer.
func (h *Handler) tree(p place) (url, issuer string) {
	url, issuer = h.site.base, h.site.issuer()
	if p.adfs {
		url = h.site.adfsIssuer()
	}
	if p.tenant == "" {
		return url, h.site.adfsIssuer()
	}
	return url + "/" + h.site.tenant, issuer
}

// discovery is the OpenID Connect discovery document. az takes the tenant's id
// from the issuer's first path segment when --tenant names a domain.
func (h *Handler) discovery(p place) map[string]any {
	url, issuer := h.tree(p)
	oauth, keys := url+"/oauth2", url+"/discovery/keys"
	if p.tenant != "" {
		oauth, keys = url+"/oauth2/v2.0", url+"/discovery/v2.0/keys"
	}
	return map[string]any{
		"issuer": issuer, "authorization_endpoint": oauth + "/authorize", "token_endpoint": oauth + "/token",
		"device_authorization_endpoint": oauth + "/devicecode", "jwks_uri": keys,
		"response_types_supported": []string{"code", "id_token"}, "response_modes_supported": []string{"query", "form_post"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"grant_types_supported":                 []string{"client_credentials", "password", "refresh_token", deviceGrant},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"claims_supported":                      []string{"sub", "iss", "aud", "exp", "iat", "nbf", "oid", "tid", "upn", "name", "preferred_username"},
		"msgraph_host":                          h.site.graph(),
	}
}

// instance answers MSAL's question whether the authority is genuine, for
// clients that are told to ask here.
func (h *Handler) instance() map[string]any {
	return map[string]any{
		"tenant_discovery_endpoint": h.site.base + "/" + h.site.tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1", "metadata": []any{},
	}
}

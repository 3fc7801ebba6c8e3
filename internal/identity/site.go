package identity

import (
	"strings"

	"cloister.dev/cloister/internal/config"
)

// site is where this service is and which tenant it has.
type site struct {
	base   string // https://198.51.100.2, without a slash at its end
	tenant string
	domain string
}

// issuer of tokens that are asked for in the tenant's own tree.
func (s site) issuer() string { return s.base + "/" + s.tenant + "/v2.0" }

// adfsIssuer of tokens that are asked for below /adfs.
func (s site) adfsIssuer() string { return s.base + "/adfs" }

func (s site) isIssuer(iss string) bool { return iss == s.issuer() || iss == s.adfsIssuer() }

func (s site) graph() string { return s.base + "/msgraph" }

// slashes is each name without and with a slash at its end.
func slashes(names ...string) []string {
	var out []string
	for _, n := range names {
		n = strings.TrimSuffix(n, "/")
		out = append(out, n, n+"/")
	}
	return out
}

// armAudiences are the names that clients know Azure Resource Manager by.
func (s site) armAudiences() []string {
	return slashes(s.base, "https://management.azure.com", "https://management.core.windows.net")
}

// graphAudiences are the names of Microsoft Graph.
func (s site) graphAudiences() []string {
	return append(slashes(s.graph(), "https://graph.microsoft.com"), "00000003-0000-0000-c000-000000000000")
}

// aksServerApp is the application that kubelogin asks a token for:
// https://azure.github.io/kubelogin/concepts/aks.html
const aksServerApp = "6dae42f8-4368-4678-94ff-3960e28e3630"

func newSite(t Tenant, cfg config.Config) site {
	return site{base: strings.TrimSuffix(cfg.BaseURL(), "/"), tenant: t.ID, domain: t.Domain}
}

package identity

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// accessClaims is what an access token says, in the names of
// https://learn.microsoft.com/azure/active-directory/develop/access-token-claims-reference.
type accessClaims struct {
	jwt.Claims
	ObjectID   string   `json:"oid"`
	TenantID   string   `json:"tid"`
	AppID      string   `json:"appid,omitempty"` // the client
	AppAuth    string   `json:"appidacr,omitempty"`
	IDType     string   `json:"idtyp,omitempty"` // app or user
	Name       string   `json:"name,omitempty"`
	UserName   string   `json:"upn,omitempty"`
	UniqueName string   `json:"unique_name,omitempty"`
	Scope      string   `json:"scp,omitempty"`
	Groups     []string `json:"groups,omitempty"`
	ResourceID string   `json:"xms_mirid,omitempty"` // of a managed identity
	Version    string   `json:"ver"`
}

// kind of the principal that the token is for.
func (c accessClaims) kind() string {
	switch {
	case c.IDType == "user":
		return KindUser
	case c.ResourceID != "":
		return KindManagedIdentity
	}
	return KindServicePrincipal
}

// idClaims is what an ID token says of a user.
type idClaims struct {
	jwt.Claims
	ObjectID  string `json:"oid"`
	TenantID  string `json:"tid"`
	Name      string `json:"name"`
	UserName  string `json:"upn"`
	Preferred string `json:"preferred_username"`
	Nonce     string `json:"nonce,omitempty"`
	Version   string `json:"ver"`
}

// issuer makes tokens.
type issuer struct {
	keys     *Keys
	site     site
	lifetime time.Duration
	groups   func(objectID string) []string
	now      func() time.Time
}

// grant is one decision to hand out tokens.
type grant struct {
	Principal *Principal
	Client    string // app id of the program that asks
	Issuer    string
	Audience  string
}

func (i *issuer) claims(g grant) jwt.Claims {
	now := i.now()
	return jwt.Claims{
		Issuer: g.Issuer, Subject: g.Principal.ID, ID: randomText(22),
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now.Add(-5 * time.Minute)),
		Expiry: jwt.NewNumericDate(now.Add(i.lifetime)),
	}
}

// access makes an access token.
func (i *issuer) access(g grant) (string, error) {
	p := g.Principal
	c := accessClaims{
		Claims: i.claims(g), ObjectID: p.ID, TenantID: i.site.tenant, AppID: p.AppID, AppAuth: "1",
		IDType: "app", Name: p.DisplayName, ResourceID: p.ResourceID, Version: "1.0",
		Groups: i.groups(p.ID),
	}
	c.Audience = jwt.Audience{g.Audience}
	if p.Kind == KindUser {
		c.AppID, c.AppAuth, c.IDType, c.Scope = g.Client, "0", "user", "user_impersonation"
		c.UserName, c.UniqueName = p.UserName, p.UserName
	}
	return i.keys.sign(c)
}

// id makes an ID token for the client, which MSAL takes the account's name from.
func (i *issuer) id(g grant, nonce string) (string, error) {
	p := g.Principal
	c := idClaims{
		Claims: i.claims(g), ObjectID: p.ID, TenantID: i.site.tenant, Name: p.DisplayName,
		UserName: p.UserName, Preferred: p.UserName, Nonce: nonce, Version: "2.0",
	}
	c.Audience = jwt.Audience{g.Client}
	c.ID = "" // an ID token opens nothing
	return i.keys.sign(c)
}

// clientInfo names the account in the form that MSAL keys its cache by.
func (i *issuer) clientInfo(p *Principal) string {
	b, err := json.Marshal(map[string]string{"uid": p.ID, "utid": i.site.tenant})
	if err != nil {
		panic(err) // two strings
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"cloister.dev/cloister/internal/arm"
)

const (
	maxToken = 16 << 10
	maxKnown = 4096 // verified tokens that are remembered
)

// Authenticator accepts the access tokens of this tenant. It implements arm.Authenticator.
type Authenticator struct {
	keys     *Keys
	people   *Authorizer
	site     site
	audience map[string]bool
	now      func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]known
}

type known struct {
	principal arm.Principal
	expires   time.Time
}

var _ arm.Authenticator = (*Authenticator)(nil)

func newAuthenticator(keys *Keys, people *Authorizer, s site, audiences []string) *Authenticator {
	a := &Authenticator{keys: keys, people: people, site: s, audience: map[string]bool{}, now: time.Now, known: map[[sha256.Size]byte]known{}}
	for _, aud := range audiences {
		a.audience[aud] = true
	}
	return a
}

func refuse(code, format string, args ...any) error {
	return arm.Errorf(http.StatusUnauthorized, code, format, args...)
}

// Authenticate implements arm.Authenticator.
func (a *Authenticator) Authenticate(r *http.Request) (arm.Principal, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return arm.Principal{}, refuse("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing. Sign in with 'az login' and send the access token as 'Authorization: Bearer <token>'.")
	}
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return arm.Principal{}, refuse("AuthenticationFailed", "Authentication failed. The 'Authorization' header is provided in an invalid format. Send 'Authorization: Bearer <access token>'.")
	}
	p, err := a.Verify(token)
	if err != nil {
		return arm.Principal{}, err
	}
	return p, a.present(r.Context(), p)
}

// present refuses whom the directory no longer has, at once and not when the token ends.
func (a *Authenticator) present(ctx context.Context, p arm.Principal) error {
	enabled, known := a.people.enabled(p.ObjectID)
	if !known { // it may be so new that the memory does not have it yet
		found, err := (&Directory{Store: a.people.store}).Principal(ctx, p.ObjectID)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
		enabled = err == nil && !found.Disabled
	}
	if !enabled {
		return refuse("InvalidAuthenticationToken", "The access token's principal '%s' was deleted or disabled. Sign in as another one.", p.ObjectID)
	}
	return nil
}

// Verify checks one access token: signature, issuer, lifetime and audience.
// The answer is remembered until the token expires.
func (a *Authenticator) Verify(token string) (arm.Principal, error) {
	if len(token) > maxToken {
		return arm.Principal{}, refuse("InvalidAuthenticationToken", "The access token is longer than %d bytes. Sign in again.", maxToken)
	}
	sum, now := sha256.Sum256([]byte(token)), a.now()
	a.mu.Lock()
	k, ok := a.known[sum]
	a.mu.Unlock()
	if ok && now.Before(k.expires) {
		return k.principal, nil
	}
	var c accessClaims
	if err := a.keys.verify(token, &c); err != nil {
		if errors.Is(err, errSignature) {
			return arm.Principal{}, refuse("InvalidAuthenticationToken", "The access token was not signed by this service, or with a key that is no longer in use. Sign in again with 'az login'.")
		}
		return arm.Principal{}, refuse("InvalidAuthenticationToken", "The access token is invalid: it is not a signed JSON Web Token. Sign in again with 'az login'.")
	}
	if err := a.check(c, now); err != nil {
		return arm.Principal{}, err
	}
	p := arm.Principal{ObjectID: c.ObjectID, TenantID: c.TenantID, AppID: c.AppID, Name: c.Name, Kind: c.kind()}
	if c.UserName != "" {
		p.Name = c.UserName
	}
	a.remember(sum, known{p, c.Expiry.Time()})
	return p, nil
}

func (a *Authenticator) check(c accessClaims, now time.Time) error {
	if c.TenantID != a.site.tenant || !a.site.isIssuer(c.Issuer) {
		return refuse("InvalidAuthenticationTokenTenant", "The access token is from the wrong issuer '%s'. It must match the tenant '%s' of this service. Sign in with 'az login --tenant %s'.", c.Issuer, a.site.issuer(), a.site.tenant)
	}
	if c.Expiry == nil || !now.Before(c.Expiry.Time()) {
		return refuse("ExpiredAuthenticationToken", "The access token expiry UTC time '%s' is earlier than current UTC time '%s'. Sign in again with 'az login'.", stamp(c.Expiry), now.UTC().Format(time.RFC1123))
	}
	if c.NotBefore != nil && c.NotBefore.Time().After(now.Add(jwt.DefaultLeeway)) {
		return refuse("InvalidAuthenticationToken", "The access token is not valid before '%s'. Check the clock of this machine.", stamp(c.NotBefore))
	}
	for _, aud := range c.Audience {
		if a.audience[aud] {
			if c.ObjectID == "" || c.ID == "" { // an ID token has no object of access
				return refuse("InvalidAuthenticationToken", "The token is not an access token. Sign in again with 'az login'.")
			}
			return nil
		}
	}
	return refuse("InvalidAuthenticationTokenAudience", "The access token has been obtained for wrong audience or resource '%s'. It should exactly match with one of the allowed audiences '%s/','%s','https://management.azure.com/'. Ask for the scope '%s/.default'.", strings.Join(c.Audience, ","), a.site.base, a.site.base, a.site.base)
}

func stamp(d *jwt.NumericDate) string {
	if d == nil {
		return "none"
	}
	return d.Time().UTC().Format(time.RFC1123)
}

// remember keeps the answer; when there are too many, expired ones go, then any.
func (a *Authenticator) remember(sum [sha256.Size]byte, k known) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnown {
		now := a.now()
		for s, old := range a.known {
			if now.After(old.expires) {
				delete(a.known, s)
			}
		}
		for s := range a.known {
			if len(a.known) < maxKnown {
				break
			}
			delete(a.known, s)
		}
	}
	a.known[sum] = k
}

package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/store"
)

// Kinds of principals, as tokens and the directory name them.
const (
	KindUser             = "User"
	KindServicePrincipal = "ServicePrincipal"
	KindManagedIdentity  = "ManagedIdentity"
	KindGroup            = "Group"
)

// ErrUnknown says that the directory has no such object.
var ErrUnknown = errors.New("identity: not in the directory")

// Tenant is the one directory.
type Tenant struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	Domain      string `json:"domain"` // of user names
	// AdminUser and AdminApp are the object id and the app id that Bootstrap made.
	AdminUser string `json:"adminUser"`
	AdminApp  string `json:"adminApp"`
	// Subscription is the one that Bootstrap made.
	Subscription string `json:"subscription"`
}

// Subscription is one subscription of the tenant.
type Subscription struct {
	ID          string `json:"id"`
	TenantID    string `json:"tenantId"`
	DisplayName string `json:"displayName"`
	State       string `json:"state"` // Enabled
}

// Principal is somebody who can hold roles.
type Principal struct {
	ID          string   `json:"id"` // object id
	Kind        string   `json:"kind"`
	DisplayName string   `json:"displayName"`
	UserName    string   `json:"userName,omitempty"`   // of a user: admin@cloister.internal
	AppID       string   `json:"appId,omitempty"`      // of a service principal or managed identity
	ResourceID  string   `json:"resourceId,omitempty"` // of a managed identity: its resource
	Members     []string `json:"members,omitempty"`    // of a group: object ids
	Disabled    bool     `json:"disabled,omitempty"`
	// Password is the argon2id hash of a user's password; PasswordAt is when it
	// was set: refresh tokens that are older are worth nothing.
	Password   string    `json:"password,omitempty"`
	PasswordAt time.Time `json:"passwordAt,omitzero"`
	CreatedAt  time.Time `json:"createdAt"`
	Rev        int64     `json:"-"`
}

// Application is what a service principal signs in with.
type Application struct {
	ID               string    `json:"id"` // object id of the application itself
	AppID            string    `json:"appId"`
	DisplayName      string    `json:"displayName"`
	ServicePrincipal string    `json:"servicePrincipal,omitempty"` // object id
	Owner            string    `json:"owner,omitempty"`            // object id of who made it, and may change it
	Secrets          []Secret  `json:"secrets,omitempty"`
	CreatedAt        time.Time `json:"createdAt"`
	Rev              int64     `json:"-"`
}

// Secret is a client secret as it is kept: 238 random bits need no slow hash.
type Secret struct {
	KeyID       string    `json:"keyId"`
	DisplayName string    `json:"displayName,omitempty"`
	Hint        string    `json:"hint"` // the first three characters
	Hash        string    `json:"hash"` // SHA-256, hexadecimal
	Start       time.Time `json:"start"`
	End         time.Time `json:"end,omitzero"` // zero: never
}

// reference is an index document.
type reference struct {
	ID string `json:"id"`
}

const (
	keyTenant        = "/identity/tenant"
	keySubscriptions = "/identity/subscriptions/"
	keyPrincipals    = "/identity/principals/"
	keyApplications  = "/identity/applications/"
	keyUsers         = "/identity/users/"
	keyOwners        = "/identity/owners"
)

// Directory reads and changes the directory's documents.
type Directory struct {
	Store store.Store
	now   func() time.Time
}

// NewDirectory reads and writes in st.
func NewDirectory(st store.Store) *Directory { return &Directory{Store: st, now: time.Now} }

// Tenant is the one tenant; ErrUnknown before Bootstrap.
func (d *Directory) Tenant(ctx context.Context) (Tenant, error) {
	var t Tenant
	_, err := d.get(ctx, keyTenant, &t)
	return t, err
}

// Subscription reads one subscription (id in any case); ErrUnknown.
func (d *Directory) Subscription(ctx context.Context, id string) (Subscription, error) {
	var s Subscription
	if !validGUID(id) {
		return s, ErrUnknown
	}
	_, err := d.get(ctx, keySubscriptions+strings.ToLower(id), &s)
	return s, err
}

// HasSubscription tells whether there is such a subscription, in any case.
func (d *Directory) HasSubscription(ctx context.Context, id string) (bool, error) {
	if !validGUID(id) {
		return false, nil
	}
	_, err := d.Store.Get(ctx, keySubscriptions+strings.ToLower(id), nil)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Subscriptions lists all, whoever may see them.
func (d *Directory) Subscriptions(ctx context.Context) ([]Subscription, error) {
	return list(ctx, d.Store, keySubscriptions, func(*Subscription, int64) {})
}

// Principal reads one by object id; ErrUnknown.
func (d *Directory) Principal(ctx context.Context, objectID string) (*Principal, error) {
	if !validGUID(objectID) {
		return nil, ErrUnknown
	}
	p := &Principal{}
	var err error
	p.Rev, err = d.get(ctx, keyPrincipals+strings.ToLower(objectID), p)
	return p, err
}

// Principals lists everybody.
func (d *Directory) Principals(ctx context.Context) ([]Principal, error) {
	return list(ctx, d.Store, keyPrincipals, func(p *Principal, rev int64) { p.Rev = rev })
}

// User reads a user by user name, in any case; ErrUnknown.
func (d *Directory) User(ctx context.Context, name string) (*Principal, error) {
	name = strings.ToLower(name)
	if name == "" || strings.Contains(name, "/") {
		return nil, ErrUnknown
	}
	var ref reference
	if _, err := d.get(ctx, keyUsers+name, &ref); err != nil {
		return nil, err
	}
	return d.Principal(ctx, ref.ID)
}

// Application reads one by app id; ErrUnknown.
func (d *Directory) Application(ctx context.Context, appID string) (*Application, error) {
	if !validGUID(appID) {
		return nil, ErrUnknown
	}
	a := &Application{}
	var err error
	a.Rev, err = d.get(ctx, keyApplications+strings.ToLower(appID), a)
	return a, err
}

// Applications lists all.
func (d *Directory) Applications(ctx context.Context) ([]Application, error) {
	return list(ctx, d.Store, keyApplications, func(a *Application, rev int64) { a.Rev = rev })
}

func (d *Directory) get(ctx context.Context, key string, v any) (int64, error) {
	rev, err := d.Store.Get(ctx, key, v)
	if errors.Is(err, store.ErrNotFound) {
		return 0, ErrUnknown
	}
	return rev, err
}

// retry runs build and commits what it wrote, again when somebody was faster.
func (d *Directory) retry(ctx context.Context, build func(tx *store.Tx) error) error {
	for {
		tx := &store.Tx{}
		if err := build(tx); err != nil {
			return err
		}
		if len(tx.Changes) == 0 {
			return nil
		}
		_, err := d.Store.Commit(ctx, tx)
		if !errors.Is(err, store.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}

func list[T any](ctx context.Context, st store.Reader, prefix string, revised func(*T, int64)) ([]T, error) {
	docs, _, err := st.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(docs))
	for i, doc := range docs {
		if err := json.Unmarshal(doc.Value, &out[i]); err != nil {
			return nil, fmt.Errorf("document at %s: %w", doc.Key, err)
		}
		revised(&out[i], doc.Rev)
	}
	return out, nil
}

// newID makes an object id.
func newID() string { return uuid.NewString() }

// validGUID keeps what clients send out of the store's keys.
func validGUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

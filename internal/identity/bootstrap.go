package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/atomicfile"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/store"
)

// Domain is what user names end in.
const Domain = "cloister.internal"

// Admin is how the first administrator signs in. Secret and password are only
// there when they were just made.
type Admin struct {
	TenantID       string `json:"tenantId"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret,omitempty"`
	User           string `json:"user"`
	Password       string `json:"password,omitempty"`
}

// Bootstrap makes the tenant, a subscription, an administrator and an
// administrator's service principal, both Owner of the tenant and the
// subscription. On a store that has them it changes nothing, and returns the
// administrator without secrets.
func Bootstrap(ctx context.Context, st store.Store, cfg config.Config) (Admin, error) {
	d := NewDirectory(st)
	tenant, err := d.Tenant(ctx)
	if errors.Is(err, ErrUnknown) {
		var admin Admin
		if admin, err = d.create(ctx, cfg); !errors.Is(err, store.ErrConflict) {
			return admin, err
		}
		tenant, err = d.Tenant(ctx) // another process was faster
	}
	if err != nil {
		return Admin{}, fmt.Errorf("directory: %w", err)
	}
	if cfg.TenantID != "" && !strings.EqualFold(cfg.TenantID, tenant.ID) {
		return Admin{}, fmt.Errorf("directory: the store belongs to tenant %s, the configuration names %s: remove tenantID from it, or use another dataDir", tenant.ID, cfg.TenantID)
	}
	return d.admin(ctx, tenant)
}

func (d *Directory) create(ctx context.Context, cfg config.Config) (Admin, error) {
	now := d.now().UTC()
	or := func(id string) string {
		if id == "" {
			return newID()
		}
		return strings.ToLower(id)
	}
	admin := Admin{TenantID: or(cfg.TenantID), SubscriptionID: or(cfg.SubscriptionID), ClientID: newID(), User: "admin@" + Domain, Password: randomText(24)}
	for name, id := range map[string]string{"tenantID": admin.TenantID, "subscriptionID": admin.SubscriptionID} {
		if !validGUID(id) {
			return Admin{}, fmt.Errorf("configuration: %s: %q is not a GUID like 6f9619ff-8b86-4011-b42d-00cf4fc964ff", name, id)
		}
	}
	secret, text := newSecret("administrator", now, time.Time{})
	admin.ClientSecret = text
	user := Principal{ID: newID(), Kind: KindUser, DisplayName: "Administrator", UserName: admin.User, Password: hashPassword(admin.Password), PasswordAt: now, CreatedAt: now}
	sp := Principal{ID: newID(), Kind: KindServicePrincipal, DisplayName: "cloister-admin", AppID: admin.ClientID, CreatedAt: now}

	tx := &store.Tx{}
	tx.Create(keyTenant, Tenant{ID: admin.TenantID, DisplayName: "Cloister", Domain: Domain, AdminUser: user.ID, AdminApp: sp.AppID, Subscription: admin.SubscriptionID})
	tx.Create(keySubscriptions+admin.SubscriptionID, Subscription{ID: admin.SubscriptionID, TenantID: admin.TenantID, DisplayName: "Cloister", State: "Enabled"})
	tx.Create(keyPrincipals+user.ID, user).Create(keyUsers+user.UserName, reference{user.ID}).Create(keyPrincipals+sp.ID, sp)
	tx.Create(keyApplications+sp.AppID, Application{ID: newID(), AppID: sp.AppID, DisplayName: sp.DisplayName, ServicePrincipal: sp.ID, Secrets: []Secret{secret}, CreatedAt: now})
	for _, p := range []Principal{user, sp} {
		for _, scope := range []string{"", "/subscriptions/" + admin.SubscriptionID} {
			arm.Put(tx, NewAssignment(scope, newID(), RoleOwner, p.ID, p.Kind, now))
		}
	}
	_, err := d.Store.Commit(ctx, tx)
	return admin, err
}

func (d *Directory) admin(ctx context.Context, t Tenant) (Admin, error) {
	user, err := d.Principal(ctx, t.AdminUser)
	if err != nil {
		return Admin{}, fmt.Errorf("administrator %s: %w", t.AdminUser, err)
	}
	return Admin{TenantID: t.ID, SubscriptionID: t.Subscription, ClientID: t.AdminApp, User: user.UserName}, nil
}

// ResetAdmin gives the administrator and its service principal new secrets; the old ones end.
func ResetAdmin(ctx context.Context, st store.Store) (Admin, error) {
	d := NewDirectory(st)
	var admin Admin
	err := d.retry(ctx, func(tx *store.Tx) error {
		t, err := d.Tenant(ctx)
		if err != nil {
			return err
		}
		if admin, err = d.admin(ctx, t); err != nil {
			return err
		}
		user, err := d.Principal(ctx, t.AdminUser)
		if err != nil {
			return err
		}
		app, err := d.Application(ctx, t.AdminApp)
		if err != nil {
			return err
		}
		now := d.now().UTC()
		admin.Password = randomText(24)
		user.Password, user.PasswordAt, user.Disabled = hashPassword(admin.Password), now, false
		secret, text := newSecret("administrator", now, time.Time{})
		admin.ClientSecret, app.Secrets = text, []Secret{secret}
		tx.Update(keyPrincipals+user.ID, user.Rev, user).Update(keyApplications+app.AppID, app.Rev, app)
		return nil
	})
	if err != nil {
		return Admin{}, fmt.Errorf("reset the administrator: %w", err)
	}
	return admin, nil
}

// WriteCredentials writes the administrator's credentials as JSON to a file that only its owner reads.
func WriteCredentials(path string, a Admin) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	return nil
}

// EnsureCredentials is Bootstrap with the file at path: it holds the
// administrator's secrets afterwards. When the file is gone, or of another
// store, the administrator gets new secrets.
func EnsureCredentials(ctx context.Context, st store.Store, cfg config.Config, path string) (Admin, error) {
	admin, err := Bootstrap(ctx, st, cfg)
	if err != nil {
		return Admin{}, err
	}
	if admin.ClientSecret == "" {
		var saved Admin
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Admin{}, fmt.Errorf("credentials: %w", err)
		}
		if err == nil && json.Unmarshal(b, &saved) == nil && saved.ClientSecret != "" && saved.ClientID == admin.ClientID && saved.TenantID == admin.TenantID {
			return saved, nil
		}
		if admin, err = ResetAdmin(ctx, st); err != nil {
			return Admin{}, err
		}
	}
	return admin, WriteCredentials(path, admin)
}

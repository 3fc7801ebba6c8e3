package identity

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloister.dev/cloister/internal/store"
)

func (g *graph) create(c *call, kind string) (int, any, error) {
	action := ""
	if len(c.path) > 2 {
		action = strings.ToLower(strings.Join(c.path[2:], "/"))
	}
	switch {
	case kind == "applications" && len(c.path) == 1:
		return g.createApplication(c)
	case kind == "applications" && action == "addpassword":
		return g.addPassword(c)
	case kind == "applications" && action == "removepassword":
		return g.removePassword(c)
	case kind == "serviceprincipals" && len(c.path) == 1:
		return g.createServicePrincipal(c)
	case kind == "users" && len(c.path) == 1:
		return g.createUser(c)
	case kind == "groups" && len(c.path) == 1:
		return g.createGroup(c)
	case kind == "groups" && action == "members/$ref":
		return g.addMember(c)
	}
	return 0, nil, g.unknown(c)
}

func required(name string) error {
	return graphError{400, "Request_BadRequest", "A value is required for property '" + name + "' of the resource."}
}

// createApplication lets every user register one, as Entra ID does; it opens nothing by itself.
func (g *graph) createApplication(c *call) (int, any, error) {
	if c.who.Kind != KindUser && !g.manages(c) {
		return 0, nil, errGraphDenied
	}
	name := c.text("displayName")
	if name == "" || len(name) > 256 {
		return 0, nil, required("displayName")
	}
	if keys, _ := c.body["keyCredentials"].([]any); len(keys) > 0 {
		return 0, nil, graphError{400, "Request_BadRequest", "This service does not know certificates of applications. Use a password."}
	}
	a := Application{ID: newID(), AppID: newID(), DisplayName: name, Owner: c.who.ObjectID, CreatedAt: g.directory.now().UTC()}
	err := g.directory.retry(c.r.Context(), func(tx *store.Tx) error {
		tx.Create(keyApplications+a.AppID, a)
		return nil
	})
	return http.StatusCreated, showApplication(&a), err
}

// application finds one by object id; only who made it, and who manages the tenant, may change it.
func (g *graph) application(ctx context.Context, c *call) (*Application, error) {
	all, err := g.directory.Applications(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if strings.EqualFold(all[i].ID, c.path[1]) {
			if all[i].Owner != c.who.ObjectID && !g.manages(c) {
				return nil, errGraphDenied
			}
			return &all[i], nil
		}
	}
	return nil, noObject(c.path[1])
}

func (g *graph) changeApplication(c *call, change func(*Application) error) error {
	return g.directory.retry(c.r.Context(), func(tx *store.Tx) error {
		a, err := g.application(c.r.Context(), c)
		if err != nil {
			return err
		}
		if err := change(a); err != nil {
			return err
		}
		tx.Update(keyApplications+a.AppID, a.Rev, a)
		return nil
	})
}

func (g *graph) addPassword(c *call) (int, any, error) {
	wish, _ := c.body["passwordCredential"].(map[string]any)
	name, _ := wish["displayName"].(string)
	start, end := g.directory.now().UTC().Truncate(time.Second), time.Time{}
	for field, into := range map[string]*time.Time{"startDateTime": &start, "endDateTime": &end} {
		if s, _ := wish[field].(string); s != "" {
			t, err := time.Parse(time.RFC3339, s)
			if err != nil {
				return 0, nil, graphError{400, "Request_BadRequest", field + ": '" + clip(s) + "' is not a time like 2030-01-31T12:00:00Z."}
			}
			*into = t.UTC()
		}
	}
	if end.IsZero() {
		end = start.AddDate(2, 0, 0)
	}
	secret, text := newSecret(clip(name), start, end)
	err := g.changeApplication(c, func(a *Application) error {
		if len(a.Secrets) >= 50 {
			return graphError{400, "Request_BadRequest", "The application has 50 passwords. Remove one first."}
		}
		a.Secrets = append(a.Secrets, secret)
		return nil
	})
	return http.StatusOK, showSecret(secret, text), err
}

func (g *graph) removePassword(c *call) (int, any, error) {
	err := g.changeApplication(c, func(a *Application) error {
		a.Secrets = slices.DeleteFunc(a.Secrets, func(s Secret) bool { return strings.EqualFold(s.KeyID, c.text("keyId")) })
		return nil
	})
	return http.StatusNoContent, nil, err
}

func (g *graph) createServicePrincipal(c *call) (int, any, error) {
	ctx := c.r.Context()
	var p Principal
	err := g.directory.retry(ctx, func(tx *store.Tx) error {
		a, err := g.directory.Application(ctx, c.text("appId"))
		if errors.Is(err, ErrUnknown) {
			return graphError{400, "Request_BadRequest", "The appId '" + clip(c.text("appId")) + "' of the service principal does not reference a valid application object."}
		}
		if err != nil {
			return err
		}
		if a.Owner != c.who.ObjectID && !g.manages(c) {
			return errGraphDenied
		}
		if a.ServicePrincipal != "" {
			return graphError{409, "Request_MultipleObjectsWithSameKeyValue", "The service principal cannot be created because the service principal name " + a.AppID + " is already in use."}
		}
		p = Principal{ID: newID(), Kind: KindServicePrincipal, DisplayName: a.DisplayName, AppID: a.AppID, CreatedAt: g.directory.now().UTC()}
		a.ServicePrincipal = p.ID
		tx.Create(keyPrincipals+p.ID, p).Update(keyApplications+a.AppID, a.Rev, a)
		return nil
	})
	return http.StatusCreated, g.show(&p), err
}

func (g *graph) createUser(c *call) (int, any, error) {
	if !g.manages(c) {
		return 0, nil, errGraphDenied
	}
	name, display := strings.ToLower(c.text("userPrincipalName")), c.text("displayName")
	profile, _ := c.body["passwordProfile"].(map[string]any)
	password, _ := profile["password"].(string)
	local, domain, _ := strings.Cut(name, "@")
	switch {
	case local == "" || strings.ContainsAny(name, "/ \t") || len(name) > 113 || domain != g.site.domain:
		return 0, nil, graphError{400, "Request_BadRequest", "The domain portion of the userPrincipalName property is invalid. Use a name like someone@" + g.site.domain + "."}
	case display == "":
		return 0, nil, required("displayName")
	case len(password) < 12 || len(password) > 256:
		return 0, nil, graphError{400, "Request_BadRequest", "The specified password does not comply with password complexity requirements: it needs 12 to 256 characters."}
	}
	now := g.directory.now().UTC()
	p := Principal{ID: newID(), Kind: KindUser, DisplayName: display, UserName: name, Password: hashPassword(password), PasswordAt: now, CreatedAt: now}
	_, err := g.directory.Store.Commit(c.r.Context(), (&store.Tx{}).Create(keyPrincipals+p.ID, p).Create(keyUsers+name, reference{p.ID}))
	if errors.Is(err, store.ErrConflict) {
		err = graphError{400, "Request_BadRequest", "Another object with the same value for property userPrincipalName already exists."}
	}
	return http.StatusCreated, g.show(&p), err
}

func (g *graph) createGroup(c *call) (int, any, error) {
	if !g.manages(c) {
		return 0, nil, errGraphDenied
	}
	if c.text("displayName") == "" {
		return 0, nil, required("displayName")
	}
	p := Principal{ID: newID(), Kind: KindGroup, DisplayName: c.text("displayName"), CreatedAt: g.directory.now().UTC()}
	_, err := g.directory.Store.Commit(c.r.Context(), (&store.Tx{}).Create(keyPrincipals+p.ID, p))
	return http.StatusCreated, g.show(&p), err
}

func (g *graph) addMember(c *call) (int, any, error) {
	if !g.manages(c) {
		return 0, nil, errGraphDenied
	}
	ref := c.text("@odata.id")
	id := ref[strings.LastIndexByte(ref, '/')+1:]
	err := g.directory.retry(c.r.Context(), func(tx *store.Tx) error {
		group, err := g.directory.Principal(c.r.Context(), c.path[1])
		if errors.Is(err, ErrUnknown) || err == nil && group.Kind != KindGroup {
			return noObject(c.path[1])
		}
		if err != nil {
			return err
		}
		member, err := g.directory.Principal(c.r.Context(), id)
		if errors.Is(err, ErrUnknown) {
			return noObject(id)
		}
		if err != nil {
			return err
		}
		if slices.Contains(group.Members, member.ID) {
			return graphError{400, "Request_BadRequest", "One or more added object references already exist for the following modified properties: 'members'."}
		}
		group.Members = append(group.Members, member.ID)
		tx.Update(keyPrincipals+group.ID, group.Rev, group)
		return nil
	})
	return http.StatusNoContent, nil, err
}

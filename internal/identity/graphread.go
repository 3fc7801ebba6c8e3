package identity

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// object is a directory object as Graph shows it.
type object map[string]any

func (g *graph) show(p *Principal) object {
	o := object{"id": p.ID, "displayName": p.DisplayName, "createdDateTime": p.CreatedAt.Format(time.RFC3339)}
	switch p.Kind {
	case KindUser:
		o["@odata.type"] = "#microsoft.graph.user"
		o["userPrincipalName"], o["mail"], o["accountEnabled"] = p.UserName, p.UserName, !p.Disabled
	case KindGroup:
		o["@odata.type"] = "#microsoft.graph.group"
		o["securityEnabled"], o["mailEnabled"] = true, false
	default:
		o["@odata.type"] = "#microsoft.graph.servicePrincipal"
		o["appId"], o["appDisplayName"], o["accountEnabled"] = p.AppID, p.DisplayName, !p.Disabled
		o["servicePrincipalNames"], o["appOwnerOrganizationId"] = []string{p.AppID}, g.site.tenant
		o["servicePrincipalType"], o["alternativeNames"] = "Application", []string{}
		if p.Kind == KindManagedIdentity {
			o["servicePrincipalType"], o["alternativeNames"] = "ManagedIdentity", []string{"isExplicit=True", p.ResourceID}
		}
	}
	return o
}

func showApplication(a *Application) object {
	secrets := []object{}
	for _, s := range a.Secrets {
		secrets = append(secrets, showSecret(s, ""))
	}
	return object{
		"@odata.type": "#microsoft.graph.application", "id": a.ID, "appId": a.AppID, "displayName": a.DisplayName,
		"createdDateTime": a.CreatedAt.Format(time.RFC3339), "identifierUris": []string{}, "keyCredentials": []any{},
		"passwordCredentials": secrets, "signInAudience": "AzureADMyOrg",
	}
}

func showSecret(s Secret, text string) object {
	o := object{"keyId": s.KeyID, "displayName": s.DisplayName, "hint": s.Hint, "startDateTime": s.Start.Format(time.RFC3339), "secretText": nil, "endDateTime": nil}
	if !s.End.IsZero() {
		o["endDateTime"] = s.End.Format(time.RFC3339)
	}
	if text != "" {
		o["secretText"] = text
	}
	return o
}

// collections are the principals that a Graph collection holds, by kind.
var collections = map[string][]string{
	"users": {KindUser}, "groups": {KindGroup}, "serviceprincipals": {KindServicePrincipal, KindManagedIdentity},
	"directoryobjects": {KindUser, KindGroup, KindServicePrincipal, KindManagedIdentity},
}

func (g *graph) read(c *call, kind string) (int, any, error) {
	switch {
	case kind == "me" && len(c.path) == 1:
		p, err := g.directory.Principal(c.r.Context(), c.who.ObjectID)
		if errors.Is(err, ErrUnknown) || err == nil && p.Kind != KindUser {
			return 0, nil, graphError{400, "Request_BadRequest", "/me request is only valid with delegated authentication flow. Sign in as a user."}
		}
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, g.show(p), nil
	case kind == "organization" && len(c.path) == 1:
		domains := []object{{"name": g.site.domain, "isDefault": true, "isInitial": true}}
		return http.StatusOK, object{"value": []object{{"id": g.site.tenant, "displayName": "Cloister", "verifiedDomains": domains}}}, nil
	case len(c.path) > 2:
		return g.readMembers(c, kind)
	}
	all, err := g.objects(c, kind)
	if err != nil {
		return 0, nil, err
	}
	if len(c.path) == 2 {
		for _, o := range all {
			if o.is(c.path[1]) {
				return http.StatusOK, o, nil
			}
		}
		return 0, nil, noObject(c.path[1])
	}
	keep, err := parseFilter(c.r.URL.Query().Get("$filter"))
	if err != nil {
		return 0, nil, err
	}
	value := []object{}
	for _, o := range all {
		if keep(o) {
			value = append(value, o)
		}
	}
	return http.StatusOK, object{"value": value}, nil
}

func (g *graph) readMembers(c *call, kind string) (int, any, error) {
	if kind != "groups" || len(c.path) != 3 || !strings.EqualFold(c.path[2], "members") {
		return 0, nil, g.unknown(c)
	}
	group, err := g.directory.Principal(c.r.Context(), c.path[1])
	if errors.Is(err, ErrUnknown) || err == nil && group.Kind != KindGroup {
		return 0, nil, noObject(c.path[1])
	}
	if err != nil {
		return 0, nil, err
	}
	value := []object{}
	for _, id := range group.Members {
		p, err := g.directory.Principal(c.r.Context(), id)
		if errors.Is(err, ErrUnknown) {
			continue // deleted meanwhile
		}
		if err != nil {
			return 0, nil, err
		}
		value = append(value, g.show(p))
	}
	return http.StatusOK, object{"value": value}, nil
}

// objects lists a collection.
func (g *graph) objects(c *call, kind string) ([]object, error) {
	var out []object
	if kind == "applications" {
		all, err := g.directory.Applications(c.r.Context())
		for i := range all {
			out = append(out, showApplication(&all[i]))
		}
		return out, err
	}
	kinds, ok := collections[kind]
	if !ok {
		return nil, g.unknown(c)
	}
	all, err := g.directory.Principals(c.r.Context())
	for i := range all {
		for _, k := range kinds {
			if all[i].Kind == k {
				out = append(out, g.show(&all[i]))
			}
		}
	}
	return out, err
}

// byIDs answers directoryObjects/getByIds; ids that nobody has are left out.
func (g *graph) byIDs(c *call) (int, any, error) {
	ids, _ := c.body["ids"].([]any)
	if len(ids) > 1000 {
		return 0, nil, graphError{400, "Request_BadRequest", "Ask for at most 1000 ids."}
	}
	value := []object{}
	for _, v := range ids {
		id, _ := v.(string)
		p, err := g.directory.Principal(c.r.Context(), id)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		value = append(value, g.show(p))
	}
	return http.StatusOK, object{"value": value}, nil
}

// is tells whether the object is named by id, user name, or appId='…'.
func (o object) is(id string) bool {
	for _, name := range []string{"id", "userPrincipalName"} {
		if s, _ := o[name].(string); s != "" && strings.EqualFold(s, id) {
			return true
		}
	}
	return false
}

package deployments

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/laxjson"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/template"
)

type outer = template.Outer

// surroundings are what the template's functions say of where it is deployed.
func (m *deployments) surroundings(ctx context.Context, id resourceid.ID, properties map[string]any, p arm.Principal, location string) (template.Context, error) {
	base := strings.TrimSuffix(m.BaseURL, "/")
	c := template.Context{
		Scope: id.Scope, Now: m.Now(),
		Tenant:   map[string]any{"tenantId": m.TenantID, "id": "/tenants/" + m.TenantID},
		Deployer: map[string]any{"objectId": p.ObjectID, "tenantId": p.TenantID, "userPrincipalName": p.Name},
		Environment: map[string]any{
			"name": "Cloister", "resourceManager": base + "/", "portal": base, "graph": base + "/graph", "gallery": base,
			"authentication": map[string]any{"loginEndpoint": base + "/", "audiences": []any{base + "/"}, "tenant": "common", "identityProvider": "AAD"},
			"suffixes":       map[string]any{},
		},
		Deployment: map[string]any{"name": id.Name(), "properties": map[string]any{"template": properties["template"], "parameters": map[string]any{}, "mode": properties["mode"]}},
	}
	if location != "" {
		c.Deployment["location"] = location
	}
	if sub := id.Subscription(); sub != "" {
		c.Scope = "/subscriptions/" + sub
		c.Subscription = map[string]any{"id": "/subscriptions/" + sub, "subscriptionId": sub, "tenantId": m.TenantID, "displayName": sub}
	}
	if group := id.Group(); !group.IsZero() {
		r, err := m.Kernel.Resources().Get(ctx, group.String())
		if err != nil {
			return c, err
		}
		c.Scope = r.ID // as it was made, in whatever case the request names it
		c.ResourceGroup = map[string]any{"id": r.ID, "name": r.Name, "type": r.Type, "location": r.Location(), "tags": r.Body["tags"], "properties": map[string]any{"provisioningState": r.State}}
	}
	return c, nil
}

// order is a deployment that somebody asks for, before anything is done.
type order struct {
	id         resourceid.ID
	principal  arm.Principal
	location   string
	properties map[string]any
	text       []byte // of the request's body
	outer      *outer
}

// plan reads the template of an order, and checks all that can be known before it is carried out.
func (m *deployments) plan(ctx context.Context, o order) (*template.Template, error) {
	doc, ok := o.properties["template"].(map[string]any)
	if !ok {
		if o.properties["templateLink"] != nil {
			return nil, arm.BadRequest("InvalidTemplateLink", "Cloister does not fetch templates from 'templateLink'. Send the template itself in 'properties.template'.").On("properties.templateLink")
		}
		return nil, arm.BadRequest("InvalidDeployment", "'properties.template' is missing: send the template as a JSON object.").On("properties.template")
	}
	parameters, ok := o.properties["parameters"].(map[string]any)
	if !ok && o.properties["parameters"] != nil {
		return nil, arm.BadRequest("InvalidDeploymentParameters", "'properties.parameters' must be an object: {\"name\": {\"value\": ..}}.").On("properties.parameters")
	}
	if inner, ok := parameters["parameters"].(map[string]any); ok && parameters["$schema"] != nil {
		parameters = inner // a whole parameter file
	}
	c, err := m.surroundings(ctx, o.id, o.properties, o.principal, o.location)
	if err != nil {
		return nil, err
	}
	t, err := template.New(ctx, doc, parameters, c, o.outer)
	if err == nil {
		err = t.Plan(ctx)
	}
	if err == nil {
		err = t.Check(ctx)
	}
	if err != nil {
		return nil, invalid(err, o.text)
	}
	return t, m.permitted(ctx, t, o)
}

// permitted asks for each resource whether there is such a type, and whether the principal may write it.
func (m *deployments) permitted(ctx context.Context, t *template.Template, o order) error {
	var wrong []*arm.Error
	for _, r := range t.Resources {
		if r.Skipped || r.Existing {
			continue
		}
		err := m.Kernel.MayWrite(ctx, o.principal, r.ID)
		var e *arm.Error
		if errors.As(err, &e) {
			wrong = append(wrong, arm.Errorf(e.Status, e.Code, "%s", e.Message).On(r.ID))
			continue
		}
		if err != nil {
			return err
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	out := arm.BadRequest("InvalidTemplateDeployment", "The deployment '%s' was refused before anything was made: %s", o.id.Name(), messages(wrong))
	out.Details = wrong
	return out
}

func messages(all []*arm.Error) string {
	var out []string
	for i, e := range all {
		if i == 5 {
			out = append(out, fmt.Sprintf("(and %d more)", len(all)-i))
			break
		}
		out = append(out, e.Message)
	}
	return strings.Join(out, " ")
}

// invalid is a template's mistake as an ARM error, with the line and column in the template's own text.
func invalid(err error, text []byte) error {
	var e *template.Error
	if !errors.As(err, &e) {
		return err
	}
	code := e.Code
	if code == "" {
		code = "InvalidTemplate"
	}
	target := "properties.template"
	if where := e.Where(); where != "" {
		target += "." + where
	}
	place := ""
	if line, column, ok := locate(text, e.Path, e.Column); ok {
		place = fmt.Sprintf(" (line %d, column %d of the template)", line, column)
	}
	return arm.BadRequest(code, "Deployment template validation failed: %s%s.", e.Error(), place).On(target)
}

// locate finds a path of the template in the request's text; lines count from the template's first one.
func locate(text []byte, path []any, within int) (line, column int, ok bool) {
	if len(text) == 0 || len(path) == 0 {
		return 0, 0, false
	}
	root, err := laxjson.Parse(text)
	if err != nil {
		return 0, 0, false
	}
	doc := root.Find("properties", "template")
	line, column = laxjson.Position(text, doc.Find(path...).Offset)
	first, firstColumn := laxjson.Position(text, doc.Offset)
	if line == first {
		column -= firstColumn - 1
	}
	if within > 0 {
		column += within // the quote stands before the text
	}
	return line - first + 1, column, true
}

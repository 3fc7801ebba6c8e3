package deployments

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/template"
)

// outerMember carries what a nested template sees of the one around it, from one deployment to the other.
const outerMember = "cloister:outer"

// admit reads the template and keeps what the deployment needs: secrets sealed, and only until it has ended.
func (m *deployments) admit(ctx context.Context, w *arm.Write) error {
	o, err := m.ordered(w.ID, w.Principal, w.New.Body, w.Text)
	if err != nil {
		return err
	}
	if w.Patch {
		return arm.BadRequest("InvalidRequest", "A deployment is not changed: send it again with PUT.")
	}
	t, err := m.plan(ctx, o)
	if err != nil {
		return err
	}
	sealed, err := m.Box.Seal(inputs{t.Values(), o.outer})
	if err != nil {
		return err
	}
	mode, err := modeOf(o)
	if err != nil {
		return err
	}
	w.New.Private = map[string]any{
		keyTemplate: o.properties["template"], keySealed: sealed, keySteps: map[string]any{},
		keyPrincipal: w.Principal, keyBegan: m.Now().UTC().Format(time.RFC3339Nano),
	}
	w.New.Body["properties"] = map[string]any{
		"mode": mode, "parameters": shownParameters(t), "templateHash": hash(o.properties["template"]), "correlationId": uuid.NewString(),
		"providers": providers(t), "dependencies": dependencies(t),
	}
	if s, ok := o.properties["debugSetting"]; ok {
		w.New.Properties()["debugSetting"] = s
	}
	return nil
}

// ordered takes a request's body apart.
func (m *deployments) ordered(id resourceid.ID, p arm.Principal, body map[string]any, text []byte) (order, error) {
	properties, ok := body["properties"].(map[string]any)
	if !ok {
		return order{}, arm.BadRequest("InvalidDeployment", "'properties' with 'template' and 'mode' is missing.").On("properties")
	}
	location, _ := body["location"].(string)
	o := order{id: id, principal: p, properties: properties, text: text, location: location}
	if id.Group().IsZero() && location == "" {
		return o, arm.BadRequest("LocationRequired", "A deployment to a subscription or the tenant needs 'location': where its record is kept.").On("location")
	}
	if raw, ok := properties[outerMember]; ok {
		delete(properties, outerMember)
		b, err := json.Marshal(raw)
		if err != nil {
			return o, err
		}
		o.outer = &outer{}
		if err := json.Unmarshal(b, o.outer); err != nil {
			return o, arm.BadRequest("InvalidDeployment", "'%s' is Cloister's own.", outerMember)
		}
	}
	return o, nil
}

func modeOf(o order) (string, error) {
	mode, _ := o.properties["mode"].(string)
	switch strings.ToLower(mode) {
	case "incremental":
		return "Incremental", nil
	case "complete":
		if o.id.Group().IsZero() {
			return "", arm.BadRequest("InvalidDeployment", "The mode Complete is for deployments to a resource group.").On("properties.mode")
		}
		return "Complete", nil
	}
	return "", arm.BadRequest("InvalidDeployment", "'properties.mode' must be Incremental or Complete, not '%s'.", mode).On("properties.mode")
}

func shownParameters(t *template.Template) map[string]any {
	out := map[string]any{}
	for name, p := range t.Parameters() {
		one := map[string]any{"type": p.Type}
		if !p.Secure {
			one["value"] = p.Value
		}
		out[name] = one
	}
	return out
}

// hash is a number that is equal for equal templates.
func hash(doc any) string {
	b, err := json.Marshal(doc)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return strconv.FormatUint(binary.BigEndian.Uint64(sum[:]), 10)
}

// providers are the namespaces and types of the template's resources.
func providers(t *template.Template) []any {
	var order []string
	types := map[string][]any{}
	seen := map[string]bool{}
	for _, r := range t.Resources {
		namespace, rest, _ := strings.Cut(r.Type, "/")
		if seen[strings.ToLower(r.Type)] {
			continue
		}
		seen[strings.ToLower(r.Type)] = true
		if types[namespace] == nil {
			order = append(order, namespace)
		}
		types[namespace] = append(types[namespace], map[string]any{"resourceType": rest, "locations": []any{nil}})
	}
	out := []any{}
	for _, n := range order {
		out = append(out, map[string]any{"namespace": n, "resourceTypes": types[n]})
	}
	return out
}

func dependencies(t *template.Template) []any {
	out := []any{}
	for _, r := range t.Resources {
		if len(r.DependsOn) == 0 || r.Skipped || r.Existing {
			continue
		}
		on := []any{}
		for _, i := range r.DependsOn {
			on = append(on, brief(t.Resources[i]))
		}
		one := brief(r)
		one["dependsOn"] = on
		out = append(out, one)
	}
	return out
}

func brief(r *template.Resource) map[string]any {
	return map[string]any{"id": r.ID, "resourceType": r.Type, "resourceName": r.Name}
}

// view shows a deployment as Azure does.
func view(_ context.Context, r *arm.Resource, doc map[string]any) error {
	delete(doc, "etag")
	properties, ok := doc["properties"].(map[string]any)
	if !ok {
		return fmt.Errorf("the deployment %s has no properties", r.ID)
	}
	switch {
	case r.Operation != "":
		properties["provisioningState"] = "Running"
	case r.Error != nil && r.Error.Code == codeCanceled:
		properties["provisioningState"] = "Canceled"
	}
	if r.Error != nil {
		properties["error"] = r.Error
	}
	began, ended := moment(r, keyBegan), moment(r, keyEnded)
	properties["timestamp"] = began.Format(time.RFC3339Nano)
	if !ended.IsZero() {
		properties["timestamp"] = ended.Format(time.RFC3339Nano)
		properties["duration"] = iso(ended.Sub(began))
	}
	return nil
}

func moment(r *arm.Resource, key string) time.Time {
	s, _ := r.Private[key].(string)
	t, _ := time.Parse(time.RFC3339Nano, s) //nolint:errcheck // none yet: the zero time
	return t
}

// iso is a duration of ISO 8601.
func iso(d time.Duration) string {
	d = max(d, 0)
	h, m := int(d.Hours()), int(d.Minutes())%60
	s := strconv.FormatFloat((d%time.Minute).Seconds(), 'f', -1, 64) + "S"
	switch {
	case h > 0:
		return fmt.Sprintf("PT%dH%dM%s", h, m, s)
	case m > 0:
		return fmt.Sprintf("PT%dM%s", m, s)
	}
	return "PT" + s
}

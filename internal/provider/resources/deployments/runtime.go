package deployments

import (
	"context"
	"strings"
)

// runtime answers a template's reference and list functions, as the deployment's principal.
type runtime struct{ p *run }

// Reference is template.Runtime's.
func (rt runtime) Reference(ctx context.Context, id, apiVersion string, full bool) (any, error) {
	doc, err := rt.p.Kernel.Show(ctx, rt.p.principal, id)
	if err != nil {
		return nil, err
	}
	if !full {
		return doc["properties"], nil
	}
	doc["apiVersion"], doc["resourceId"] = apiVersion, strings.TrimPrefix(id, "/")
	return doc, nil
}

// List is template.Runtime's.
func (rt runtime) List(ctx context.Context, function, id, _ string, body any) (any, error) {
	m, _ := body.(map[string]any)
	return rt.p.Kernel.Call(ctx, rt.p.principal, id, function, m)
}

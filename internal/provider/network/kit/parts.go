package kit

import "cloister.dev/cloister/internal/arm"

// ShowParts gives the elements of an array in a resource's properties what clients get of each: id, type, etag and state.
func ShowParts(r *arm.Resource, props Doc, list, typ string) {
	parts := props.Docs(list)
	for _, p := range parts {
		name := p.Str("name")
		p["id"], p["type"], p["etag"] = r.ID+"/"+list+"/"+name, typ+"/"+list, r.ETag()
		p.Sub("properties")["provisioningState"] = arm.StateSucceeded
	}
	if parts == nil {
		props[list] = []any{}
	}
}

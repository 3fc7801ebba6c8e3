package arm

import (
	"time"

	"cloister.dev/cloister/internal/resourceid"
)

// Resource is one ARM resource as it is stored at Key(id).
type Resource struct {
	ID   string `json:"id"`   // as its creator wrote it
	Type string `json:"type"` // in Azure's case
	Name string `json:"name"`
	// Body is the document without id, name, type and etag: location, tags,
	// properties, identity, sku, zones, and whatever else the client sent.
	Body map[string]any `json:"body"`
	// Private is what reconcilers remember of it; no client sees it.
	Private   map[string]any `json:"private,omitempty"`
	State     string         `json:"state"`               // provisioningState: Creating, Updating, Deleting, Succeeded, Failed
	Operation string         `json:"operation,omitempty"` // key of the operation that runs on it
	Error     *Error         `json:"error,omitempty"`     // why State is Failed
	Deleting  bool           `json:"deleting,omitempty"`
	Wanted    string         `json:"wanted,omitempty"`    // digest of the body that Cloister itself wrote last; empty after anybody else's write
	ManagedBy string         `json:"managedBy,omitempty"` // id of the resource that owns it
	CreatedAt time.Time      `json:"createdAt"`
	ChangedAt time.Time      `json:"changedAt"`
	CreatedBy string         `json:"createdBy,omitempty"` // object id
	Rev       int64          `json:"-"`                   // the store's revision; ETag is W/"<rev>"

	id     resourceid.ID // ID parsed, if it was
	shared *shared       // set: this one belongs to all readers
}

// What provisioningState may be.
const (
	StateCreating  = "Creating"
	StateUpdating  = "Updating"
	StateDeleting  = "Deleting"
	StateSucceeded = "Succeeded"
	StateFailed    = "Failed"
)

// Key is where the resource with this id is stored.
func Key(id string) string { return keyOf(resourceid.MustParse(id)) }

func keyOf(id resourceid.ID) string { return "/res" + id.Key() }

// ParsedID is the resource's id.
func (r *Resource) ParsedID() resourceid.ID {
	if r.id.String() == r.ID && r.ID != "" {
		return r.id
	}
	return resourceid.MustParse(r.ID)
}

// Properties is the body's `properties`, made if there is none.
func (r *Resource) Properties() map[string]any {
	if r.Body == nil {
		r.Body = map[string]any{}
	}
	p, ok := r.Body["properties"].(map[string]any)
	if !ok {
		p = map[string]any{}
		r.Body["properties"] = p
	}
	return p
}

// Location is the resource's region, as written.
func (r *Resource) Location() string { s, _ := r.Body["location"].(string); return s }

package arm

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// Type is everything that the kernel needs to know of a resource type. A
// provider's folder makes one, and the app lists it.
type Type struct {
	Name        string         // Microsoft.Network/virtualNetworks/subnets, in Azure's case
	APIVersions []string       // what `az provider show` lists, newest first; any version is accepted in requests
	Names       *regexp.Regexp // what a name may be; nil: ARM's default of 1 to 80 letters, digits, -_.()
	NameRule    string         // the rule in words, for the error
	Tracked     bool           // has location and tags and is shown by `az resource list`
	Global      bool           // location is "global"
	Extension   bool           // may stand on any scope (role assignments)
	Anywhere    bool           // may stand in the tenant, a subscription or a group (deployments)
	// Async has a write answer before its work is done, with 201 and Azure-AsyncOperation.
	// Types without it are done when the write's transaction is.
	Async bool

	// Admit completes and checks a create or update before it is written: it
	// sets defaults and computed properties in w.New, reports every mistake with
	// w.Fail, and may add changes of its own to w.Tx. It must not write in any other way.
	Admit func(ctx context.Context, w *Write) error
	// Release checks a delete before it begins (nil error: go on), and may add
	// changes to the transaction that marks the resource, or removes it if there is no Remove.
	Release func(ctx context.Context, w *Write) error
	// Reconcile brings the world to where the resource wants it. It is called
	// after every write, at start, after changes that Watches names and after
	// Progress.After; it may be called at any time, again and again. nil: nothing to do.
	Reconcile func(ctx context.Context, r *Resource) (Progress, error)
	// Remove undoes it all, the same way; the kernel deletes the document when it is done.
	Remove func(ctx context.Context, r *Resource) (Progress, error)
	// View adds what is computed at reading to the document that a client gets. It may be nil.
	View func(ctx context.Context, r *Resource, doc map[string]any) error
	// ViewAlone says that View depends on nothing but the resource: it is asked once for each version.
	ViewAlone bool
	// Actions are POSTs below the resource, by name in lower case.
	Actions map[string]Action
	// Watches maps changes elsewhere in the store to resources of this type.
	Watches []Watch
	// DeleteAfter names types whose resources go first when a group is deleted.
	DeleteAfter []string
	// BusyCode is the error code of a write while an operation runs; empty:
	// AnotherOperationInProgress (Microsoft.Network's). Microsoft.ContainerService says OperationNotAllowed.
	BusyCode string
}

// Write is one create, update or delete under admission.
type Write struct {
	ID        resourceid.ID
	Principal Principal
	Old       *Resource // nil on create
	New       *Resource // what the client sent, merged by PATCH where it was one; nil on delete
	Text      []byte    // of the request's body; empty in Cloister's own writes
	Patch     bool
	Cascade   bool       // of a delete: what contains the resource is being deleted
	Read      *Resources // reads at the store's newest state
	Tx        *store.Tx  // goes with the resource and its operation, all or nothing
	Problems  []*Error   // use Fail
	// Allowed checks another permission that the write needs, on another
	// resource (Microsoft.Network/virtualNetworks/subnets/join/action on a subnet): nil or a 403 *Error.
	Allowed func(ctx context.Context, action, scope string) error
	// Space is how many bytes of disk the write will take beyond its document. Admit sets it.
	Space int64
}

// Fail reports a mistake in the request: code is Azure's, target the path of
// the field (properties.addressSpace), the message says what is wrong and what to do.
func (w *Write) Fail(code, target, format string, args ...any) {
	w.Problems = append(w.Problems, BadRequest(code, format, args...).On(target))
}

// Progress is how far a reconcile came.
type Progress struct {
	Done    bool
	Percent float64       // 0 to 100, for the operation
	Note    string        // what it waits for, in a few words: shown by `cloister status` and logs
	After   time.Duration // look again after; 0: when something watched changes, or after a minute
}

// Watch maps a change below Prefix in the store to the ids (any case) of resources to reconcile.
type Watch struct {
	Prefix string
	Map    func(ctx context.Context, e store.Event) []string
}

// Action is a POST on a resource. The answer is rendered as JSON with 200;
// nil: 204. An action that takes time sets Async and changes the resource's
// desired state in the transaction: its operation ends when Reconcile is Done.
type Action struct {
	Permission string // ends the operation's name: "listClusterUserCredential/action"
	Async      bool
	Run        func(ctx context.Context, a *ActionRequest) (any, error)
}

// ActionRequest is one call of an action.
type ActionRequest struct {
	ID        resourceid.ID
	Principal Principal
	Resource  *Resource
	Query     map[string]string // keys in lower case
	Body      map[string]any    // nil when the request had none
	Read      *Resources
	Tx        *store.Tx // for async actions: committed with the changed Resource and the operation
}

// Principal is who sends a request.
type Principal struct {
	ObjectID string
	TenantID string
	AppID    string // of a service principal or managed identity
	Name     string // user principal name or display name, for logs
	Kind     string // User, ServicePrincipal, ManagedIdentity
	System   bool   // Cloister itself: may do everything
}

// System is Cloister itself.
var System = Principal{Name: "Cloister", Kind: "System", System: true}

// Authenticator finds out who sent a request, or says with a 401 *Error why it is nobody.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// Authorizer decides about an operation (Microsoft.Network/virtualNetworks/read)
// on a scope (an id, any case): nil, or a 403 *Error with the code AuthorizationFailed.
type Authorizer interface {
	Authorize(ctx context.Context, p Principal, action, scope string) error
}

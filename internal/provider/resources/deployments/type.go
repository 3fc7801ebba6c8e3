// Package deployments is Microsoft.Resources/deployments: a template's resources are written one after the other, as the
// principal who sent it, each when what it depends on is there.
// https://learn.microsoft.com/rest/api/resources/deployments
package deployments

import (
	"context"
	"regexp"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/seal"
	"cloister.dev/cloister/internal/store"
)

// Name is the resource type.
const Name = "Microsoft.Resources/deployments"

// Kernel is what a deployment does with other resources, as its principal.
type Kernel interface {
	Write(ctx context.Context, p arm.Principal, id string, body map[string]any, managedBy string) (*arm.Resource, error)
	Delete(ctx context.Context, p arm.Principal, id string) (gone bool, err error)
	Show(ctx context.Context, p arm.Principal, id string) (map[string]any, error)
	Call(ctx context.Context, p arm.Principal, id, action string, body map[string]any) (any, error)
	MayWrite(ctx context.Context, p arm.Principal, id string) error
	Operation(ctx context.Context, key string) (*arm.Operation, error)
	Resources() *arm.Resources
	Types() []*arm.Type
}

// Deps is what deployments need.
type Deps struct {
	Store    store.Store
	Kernel   Kernel
	Box      *seal.Box
	BaseURL  string // of the ARM endpoint, for environment()
	TenantID string
	Now      func() time.Time // nil: time.Now
}

type deployments struct {
	Deps
	waiting waiting
}

// New is the type, and the routes of what is asked of a deployment that need not be there.
func New(d Deps) (*arm.Type, []arm.Route) {
	if d.Now == nil {
		d.Now = time.Now
	}
	m := &deployments{Deps: d}
	t := &arm.Type{
		Name: Name, Anywhere: true, Async: true, BusyCode: "DeploymentActive",
		APIVersions: []string{"2025-04-01", "2024-11-01", "2024-03-01", "2023-07-01", "2022-09-01", "2021-04-01", "2020-10-01", "2020-06-01", "2019-10-01", "2019-05-01", "2018-05-01", "2017-05-10", "2015-01-01"},
		Names:       regexp.MustCompile(`^[\p{L}\p{N}_().-]{1,64}$`),
		NameRule:    "1 to 64 letters, digits, '-', '_', '.', '(' and ')'",
		Admit:       m.admit, Reconcile: m.reconcile, Remove: m.remove, View: view,
		Watches: []arm.Watch{{Prefix: "/res/", Map: m.waiting.woken}},
		Actions: map[string]arm.Action{
			"cancel":         {Run: m.cancel},
			"exporttemplate": {Permission: "exportTemplate/action", Run: exportTemplate},
		},
	}
	return t, m.routes()
}

// What Resource.Private holds of a deployment.
const (
	keyTemplate  = "template"  // as it was sent
	keySealed    = "sealed"    // type inputs, until the deployment has ended
	keyPrincipal = "principal" // who sent it
	keySteps     = "steps"     // type step of each resource, by id in lower case
	keyCanceled  = "canceled"  // somebody wants it to end
	keyBegan     = "began"     // time of the last write
	keyEnded     = "ended"
)

// inputs are what may hold secrets.
type inputs struct {
	Parameters map[string]any `json:"parameters,omitempty"`
	Outer      *outer         `json:"outer,omitempty"`
}

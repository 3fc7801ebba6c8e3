// Package virtualmachinescalesets is Microsoft.Compute/virtualMachineScaleSets as
// AKS shows its node pools there. Cloister writes them; people read them.
package virtualmachinescalesets

import (
	"context"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/store"
)

// Name of the type.
const Name = "Microsoft.Compute/virtualMachineScaleSets"

// APIVersions are those that clients meet; any other is accepted, too.
var APIVersions = []string{"2024-11-01", "2024-07-01", "2024-03-01", "2023-09-01", "2022-11-01", "2022-03-01", "2021-11-01", "2020-12-01", "2020-06-01"}

// Types lists the package's types.
func Types() []*arm.Type {
	return []*arm.Type{{
		Name: Name, APIVersions: APIVersions, Tracked: true, BusyCode: "OperationNotAllowed",
		Admit: admit, Release: release,
	}}
}

// admit lets Cloister itself write scale sets, and people change their tags.
func admit(_ context.Context, w *arm.Write) error {
	if w.Principal.System {
		return nil
	}
	if w.Old == nil {
		w.Fail("FeatureNotSupported", "", "Scale sets of your own are not offered yet: they are made by node pools (`az aks nodepool add`).")
		return nil
	}
	tags := w.New.Body["tags"]
	w.New.Body = map[string]any{}
	for k, v := range w.Old.Body {
		w.New.Body[k] = v
	}
	w.New.Body["tags"] = tags
	return nil
}

// release keeps people from taking a pool's machines away behind its back.
func release(_ context.Context, w *arm.Write) error {
	if w.Principal.System || w.Cascade {
		return nil
	}
	return arm.Conflict("OperationNotAllowed", "The scale set '%s' belongs to a node pool. Delete or scale the pool: `az aks nodepool`.", w.ID.Name())
}

// Routes are the questions about a scale set's instances.
func Routes(s store.Reader) []arm.Route {
	const set = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + Name + "/{set}"
	i := instances{s}
	return []arm.Route{
		{Method: "GET", Pattern: set + "/virtualMachines", Scope: set, Permission: Name + "/virtualMachines/read", Serve: i.list},
		{Method: "GET", Pattern: set + "/virtualMachines/{instance}", Scope: set, Permission: Name + "/virtualMachines/read", Serve: i.get},
		{Method: "GET", Pattern: set + "/virtualMachines/{instance}/instanceView", Scope: set, Permission: Name + "/virtualMachines/instanceView/read", Serve: i.view},
	}
}

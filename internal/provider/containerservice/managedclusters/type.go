package managedclusters

import (
	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

type typ struct{ shape.Deps }

// New is the type Microsoft.ContainerService/managedClusters.
func New(d shape.Deps) *arm.Type {
	t := &typ{d}
	return &arm.Type{
		Name: shape.ClusterType, APIVersions: shape.APIVersions, Names: Names, NameRule: NameRule, Tracked: true, Async: true,
		BusyCode: "OperationNotAllowed",
		Admit:    t.admit, Reconcile: t.reconcile, Remove: t.teardown, View: t.view,
		Actions: t.actions(), Watches: shape.ClusterWatches(d.Store),
	}
}

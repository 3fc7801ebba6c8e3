// Package privateendpoints is Microsoft.Network/privateEndpoints: an address in a subnet that leads to
// a service elsewhere, here to the API server of a managed cluster.
// https://learn.microsoft.com/rest/api/virtualnetwork/private-endpoints
package privateendpoints

import (
	"context"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// New is the type.
func New(d kit.Deps) *arm.Type {
	t := typ{d}
	return &arm.Type{
		Name: kit.EndpointType, APIVersions: kit.APIVersions, Tracked: true, Async: true,
		Names:    regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?$`),
		NameRule: "1 to 64 letters, digits, '_', '.' and '-', beginning with a letter or digit and ending with one or '_'",
		Admit:    t.admit, Reconcile: t.reconcile, Remove: t.remove, View: t.view,
		Watches: []arm.Watch{{Prefix: spec.StatusKey(spec.EndpointPrefix), Map: func(_ context.Context, e store.Event) []string {
			return []string{"/" + strings.TrimPrefix(e.Key, spec.StatusKey(spec.EndpointPrefix))}
		}}},
	}
}

type typ struct{ kit.Deps }

// The states of a connection:
// https://learn.microsoft.com/azure/private-link/private-endpoint-overview#access-to-a-private-link-resource-using-approval-workflow
const (
	Approved     = "Approved"
	Pending      = "Pending"
	Rejected     = "Rejected"
	Disconnected = "Disconnected"
)

// Private keys: the GUID of the interface's configuration, and the interface's id.
const (
	guidKey      = "guid"
	interfaceKey = "interface"
)

// automatic and manual are the two lists of which one holds the connection.
const (
	automatic = "privateLinkServiceConnections"
	manual    = "manualPrivateLinkServiceConnections"
)

// connection is the one connection of an endpoint, and the list that it is in.
func connection(props kit.Doc) (kit.Doc, string) {
	for _, list := range []string{automatic, manual} {
		if all := props.Docs(list); len(all) > 0 {
			return all[0], list
		}
	}
	return kit.Doc{}, automatic
}

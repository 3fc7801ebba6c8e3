// Package connections is Microsoft.ContainerService/managedClusters/privateEndpointConnections:
// the private endpoints that lead to a cluster, and the word of its owner on each. The truth
// is the private endpoint's document; a connection is how the cluster's side sees it.
package connections

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/provider/network/privateendpoints"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// The states of a connection.
const (
	Approved     = "Approved"
	Rejected     = "Rejected"
	Disconnected = "Disconnected"
)

// Routes lists the operations.
func Routes(d shape.Deps) []arm.Route {
	s := side{d}
	const cluster = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + shape.ClusterType + "/{cluster}"
	const all, one = cluster + "/privateEndpointConnections", cluster + "/privateEndpointConnections/{name}"
	return []arm.Route{
		{Method: http.MethodGet, Pattern: all, Scope: cluster, Permission: shape.ConnectionType + "/read", Serve: s.list},
		{Method: http.MethodGet, Pattern: one, Scope: one, Permission: shape.ConnectionType + "/read", Serve: s.get},
		{Method: http.MethodPut, Pattern: one, Scope: one, Permission: shape.ConnectionType + "/write", Serve: s.put},
		{Method: http.MethodDelete, Pattern: one, Scope: one, Permission: shape.ConnectionType + "/delete", Serve: s.delete},
	}
}

// side is the cluster's side of private endpoints.
type side struct{ shape.Deps }

// connection is one private endpoint that leads to the cluster.
type connection struct {
	privateendpoints.Connection
	name string
	own  bool // the cluster's own endpoint
}

// of finds every connection of a cluster.
func (s side) of(ctx context.Context, r *arm.RouteRequest) (shape.Cluster, []connection, error) {
	group := resourceid.MustParse("/subscriptions/" + r.Params["subscription"] + "/resourceGroups/" + r.Params["group"])
	doc, err := r.Read.Get(ctx, group.Resource(shape.ClusterType, r.Params["cluster"]).String())
	if err != nil {
		return shape.Cluster{}, nil, err
	}
	c, err := shape.ClusterOf(doc)
	if err != nil {
		return c, nil, err
	}
	all, err := privateendpoints.Connections(ctx, s.Store, c.Names.Cluster)
	if err != nil {
		return c, nil, err
	}
	var out []connection
	for _, e := range all {
		name := resourceid.MustParse(e.Endpoint).Name() + "." + e.GUID
		out = append(out, connection{Connection: e, name: name, own: strings.EqualFold(e.Endpoint, c.Endpoint())})
	}
	return c, out, nil
}

func (s side) find(ctx context.Context, r *arm.RouteRequest) (shape.Cluster, *connection, error) {
	c, all, err := s.of(ctx, r)
	if err != nil {
		return c, nil, err
	}
	for _, found := range all {
		if strings.EqualFold(found.name, r.Params["name"]) {
			return c, &found, nil
		}
	}
	return c, nil, arm.NotFound("ResourceNotFound", "The cluster '%s' has no private endpoint connection '%s'.", c.Name, r.Params["name"])
}

// document is the shape of https://learn.microsoft.com/rest/api/aks/private-endpoint-connections/get
func (c connection) document(cluster shape.Cluster) map[string]any {
	state := map[string]any{"status": c.Status}
	if c.Description != "" {
		state["description"] = c.Description
	}
	return map[string]any{
		"id": cluster.ID + "/privateEndpointConnections/" + c.name, "name": c.name, "type": shape.ConnectionType,
		"properties": map[string]any{
			"provisioningState": arm.StateSucceeded, "privateEndpoint": map[string]any{"id": c.Endpoint},
			"groupIds": []any{c.Group}, "privateLinkServiceConnectionState": state,
		},
	}
}

func (s side) list(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	cluster, all, err := s.of(ctx, r)
	if err != nil {
		return nil, err
	}
	value := []any{}
	for _, c := range all {
		value = append(value, c.document(cluster))
	}
	return &arm.Response{Body: map[string]any{"value": value}}, nil
}

func (s side) get(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	cluster, c, err := s.find(ctx, r)
	if err != nil {
		return nil, err
	}
	return &arm.Response{Body: c.document(cluster)}, nil
}

// put approves or rejects a connection.
func (s side) put(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	cluster, c, err := s.find(ctx, r)
	if err != nil {
		return nil, err
	}
	wanted := shape.Doc(r.Body).Doc("properties.privateLinkServiceConnectionState")
	status := ""
	for _, known := range []string{Approved, Rejected} {
		if strings.EqualFold(known, wanted.Str("status")) {
			status = known
		}
	}
	if status == "" {
		return nil, arm.BadRequest("InvalidParameter", "The status of a private endpoint connection can be set to Approved or Rejected, not to '%s'.", wanted.Str("status")).On("properties.privateLinkServiceConnectionState.status")
	}
	if err := s.set(ctx, c, status, wanted.Str("description")); err != nil {
		return nil, err
	}
	return &arm.Response{Body: c.document(cluster)}, nil
}

// delete cuts a connection: the endpoint stays with its owner, and leads nowhere.
func (s side) delete(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	_, c, err := s.find(ctx, r)
	if arm.IsNotFound(err) {
		return &arm.Response{Status: http.StatusNoContent}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.set(ctx, c, Disconnected, "The connection was deleted by the cluster's owner."); err != nil {
		return nil, err
	}
	return &arm.Response{Status: http.StatusOK}, nil
}

// set writes the owner's word into the private endpoint.
func (s side) set(ctx context.Context, c *connection, status, description string) error {
	if c.own && status != Approved {
		return arm.Conflict("OperationNotAllowed", "The connection '%s' is the cluster's own: without it the nodes do not reach the API server. Delete the cluster instead.", c.name)
	}
	if c.Status == Disconnected && status != Disconnected {
		return arm.Conflict("OperationNotAllowed", "The connection '%s' was deleted. Its endpoint has to be made anew.", c.name)
	}
	c.Status, c.Description = status, description
	for range attempts {
		err := privateendpoints.SetConnection(ctx, s.Store, c.Endpoint, status, description)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return arm.Conflict("RequestConflict", "The private endpoint '%s' was changed at the same time by other requests. Send the request again.", c.Endpoint)
}

// attempts is how often a change is tried again that somebody else's came before.
const attempts = 6

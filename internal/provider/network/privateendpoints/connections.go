package privateendpoints

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// Connection is a private endpoint as the owner of its target sees it.
type Connection struct {
	Endpoint    string // id of the private endpoint
	GUID        string // made with the endpoint: for the connection's name
	Group       string
	Status      string // Approved, Pending, Rejected, Disconnected
	Description string
}

// Connections lists the endpoints that lead to the service named so, which is what spec.Endpoint.Service says.
func Connections(ctx context.Context, s store.Reader, service string) ([]Connection, error) {
	docs, _, err := s.List(ctx, spec.EndpointPrefix)
	if err != nil {
		return nil, err
	}
	read := &arm.Resources{Store: s}
	var out []Connection
	for _, d := range docs {
		var e spec.Endpoint
		if err := json.Unmarshal(d.Value, &e); err != nil {
			return nil, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		if e.Service != service {
			continue
		}
		r, err := read.Get(ctx, e.Name)
		if arm.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c, _ := connection(kit.Props(r))
		state := c.Doc("properties.privateLinkServiceConnectionState")
		out = append(out, Connection{Endpoint: r.ID, GUID: kit.Doc(r.Private).Str(guidKey), Group: group(c), Status: state.Str("status"), Description: state.Str("description")})
	}
	return out, nil
}

// SetConnection decides about an endpoint's connection in the name of its target's owner: packets pass while it is
// Approved. It may be called again; a conflict with another change is store.ErrConflict.
func SetConnection(ctx context.Context, s store.Store, endpoint, status, description string) error {
	read := &arm.Resources{Store: s}
	r, err := read.Get(ctx, endpoint)
	if err != nil {
		return err
	}
	c, _ := connection(kit.Props(r))
	c.Sub("properties")["privateLinkServiceConnectionState"] = map[string]any{"status": status, "description": description, "actionsRequired": "None"}
	tx := &store.Tx{}
	arm.Put(tx, r)
	key := spec.EndpointKey(r.ParsedID().Key())
	var e spec.Endpoint
	rev, err := s.Get(ctx, key, &e)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil {
		e.Approved = status == Approved
		tx.Update(key, rev, e)
	}
	_, err = s.Commit(ctx, tx)
	return err
}

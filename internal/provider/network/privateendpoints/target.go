package privateendpoints

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// Target is a type of resource that private endpoints can lead to.
type Target struct {
	Type  string
	Group string // the one sub-resource that it has
	// Approve is the operation that a caller needs whose connection is approved at once.
	Approve string
	// Service is the name of the spec.Service behind the resource; "" if it has none.
	Service func(r *arm.Resource) string
	// Names are the host names that clients use for it.
	Names func(ctx context.Context, s store.Reader, service string) ([]string, error)
}

// targets lists them. A new kind of service is a line here.
var targets = []Target{{
	Type: kit.ClusterType, Group: "management", Approve: kit.ClusterType + "/privateEndpointConnectionsApproval/action",
	Service: clusterName, Names: clusterNames,
}}

func targetOf(typ string) (Target, bool) {
	for _, t := range targets {
		if strings.EqualFold(t.Type, typ) {
			return t, true
		}
	}
	return Target{}, false
}

func targetTypes() string {
	var out []string
	for _, t := range targets {
		out = append(out, t.Type)
	}
	return strings.Join(out, ", ")
}

// clusterName is the short name of a managed cluster, which is its service's, too.
func clusterName(r *arm.Resource) string {
	private := kit.Doc(r.Private)
	if name := private.Str("cluster"); name != "" {
		return name
	}
	return private.Str("names.cluster")
}

func clusterNames(ctx context.Context, s store.Reader, service string) ([]string, error) {
	var c spec.Cluster
	_, err := s.Get(ctx, spec.ClusterKey(service), &c)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", service, err)
	}
	if name := c.ServerName(); name != "" {
		return []string{name}, nil
	}
	return nil, nil
}

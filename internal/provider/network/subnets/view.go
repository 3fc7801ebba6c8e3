package subnets

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

func (t typ) view(ctx context.Context, r *arm.Resource, doc map[string]any) error {
	return Show(ctx, t.Read(), r, kit.Doc(doc).Sub("properties"))
}

// Show adds to a subnet's properties who has addresses of it.
func Show(ctx context.Context, read *arm.Resources, r *arm.Resource, props kit.Doc) error {
	key := r.ParsedID().Key()
	users, err := userIDs(ctx, read.Store, r)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		props["ipConfigurations"] = kit.Refs(users)
	}
	ends, err := endpoints(ctx, read, key)
	if err != nil {
		return err
	}
	if len(ends) > 0 {
		props["privateEndpoints"], props["purpose"] = kit.Refs(ends), "PrivateEndpoints"
	}
	return nil
}

func userIDs(ctx context.Context, r store.Reader, subnet *arm.Resource) ([]string, error) {
	pool, err := kit.NewLinks(&arm.Resources{Store: r}, nil).Subnet(ctx, subnet)
	if err != nil {
		return nil, err
	}
	return kit.UserIDs(kit.SubnetUsers(pool)), nil
}

// endpoints lists the ids of the private endpoints in a subnet.
func endpoints(ctx context.Context, read *arm.Resources, subnet string) ([]string, error) {
	docs, _, err := read.Store.List(ctx, spec.EndpointPrefix)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range docs {
		var e spec.Endpoint
		if err := json.Unmarshal(d.Value, &e); err != nil {
			return nil, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		if !strings.EqualFold(e.Subnet, subnet) {
			continue
		}
		if _, err := resourceid.Parse(e.Name); err != nil {
			continue
		}
		r, err := read.Get(ctx, e.Name)
		if arm.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, r.ID)
	}
	return out, nil
}

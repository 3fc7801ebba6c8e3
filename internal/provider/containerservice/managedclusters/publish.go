package managedclusters

import (
	"context"
	"errors"
	"net/netip"

	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

func publicNameKey(fqdn string) string { return spec.PublicNamePrefix + fqdn }

// publish has the public name lead to the private address, or takes it away where it is disabled.
func (t *typ) publish(ctx context.Context, c shape.Cluster, address netip.Addr) error {
	public := c.PublicFQDN()
	for _, name := range c.PublicNames() {
		if name == public {
			if err := put(ctx, t.Store, publicNameKey(name), spec.PublicName{Name: name, Address: address}); err != nil {
				return err
			}
			continue
		}
		rev, err := t.Store.Get(ctx, publicNameKey(name), nil)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := t.Store.Commit(ctx, (&store.Tx{}).Expect(publicNameKey(name), rev).Delete(publicNameKey(name))); err != nil {
			return err
		}
	}
	return nil
}

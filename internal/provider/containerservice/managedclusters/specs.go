package managedclusters

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/containerservice/agentpools"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// endpointAddress is the address of the cluster's private endpoint; the zero one while there is none.
func (t *typ) endpointAddress(ctx context.Context, c shape.Cluster) (netip.Addr, error) {
	var e spec.Endpoint
	_, err := t.Store.Get(ctx, spec.EndpointKey(resourceid.MustParse(c.Endpoint()).Key()), &e)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return e.Address, err
}

// formerAddress is the address that the API server had until somebody deleted its private endpoint: it is to have
// it again, if nobody took it. Names, certificates and what customers wrote down then stay true. The zero
// address says that there is an endpoint, or was none.
func (t *typ) formerAddress(ctx context.Context, c shape.Cluster) (netip.Addr, error) {
	none := netip.Addr{}
	if _, err := t.Read().Get(ctx, c.Endpoint()); !arm.IsNotFound(err) {
		return none, err
	}
	var s spec.Cluster
	_, err := t.Store.Get(ctx, spec.ClusterKey(c.Names.Cluster), &s)
	if errors.Is(err, store.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	subnet, err := t.Read().Get(ctx, c.Subnet)
	if err != nil {
		return none, err
	}
	prefix, err := agentpools.SubnetPrefix(subnet)
	if err != nil {
		return none, err
	}
	pool, err := ipam.Load(ctx, t.Store, subnet.ParsedID().Key(), prefix, agentpools.Reserved)
	if err != nil {
		return none, err
	}
	if _, taken := pool.Used[s.Endpoint]; taken {
		return none, nil
	}
	return s.Endpoint, nil
}

// writeSpecs writes what internal/kubernetes makes the control plane of.
func (t *typ) writeSpecs(ctx context.Context, c shape.Cluster, address netip.Addr) error {
	services, err := c.ServiceCIDR()
	if err != nil {
		return err
	}
	dns, err := c.DNSService()
	if err != nil {
		return err
	}
	name := c.Names.Cluster
	return put(ctx, t.Store, spec.ClusterKey(name), spec.Cluster{
		Name: name, Resource: c.ID, Version: c.Props.Str("currentKubernetesVersion"), Endpoint: address,
		PrivateFQDN: c.PrivateFQDN(), PublicFQDN: c.PublicFQDN(), ServiceCIDR: services, DNSService: dns,
		Issuer: t.IssuerURL + "/" + name + "/", Store: "etcd", ReturnPath: "direct", Stopped: c.Stopped(), CertificateGeneration: c.Generation(),
	})
}

// put writes v at key where something else is.
func put[T any](ctx context.Context, s store.Store, key string, v T) error {
	var have T
	rev, err := s.Get(ctx, key, &have)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && reflect.DeepEqual(have, v) {
		return nil
	}
	if _, err := s.Commit(ctx, (&store.Tx{}).Update(key, rev, v)); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// ensureNames writes the private record and the public name, or takes away those that are not wanted any more.
func (t *typ) ensureNames(ctx context.Context, c shape.Cluster, address netip.Addr) (waiting []string, err error) {
	if zone := c.PrivateZone(); zone != "" {
		done, err := t.ensure(ctx, c, recordMember(c, zone, address.String()))
		if err != nil {
			return nil, err
		}
		if !done {
			waiting = append(waiting, "the private name")
		}
	}
	if former, _ := c.Private[formerZone].(string); former != "" {
		gone, err := t.leaveZone(ctx, c, former)
		if err != nil {
			return nil, err
		}
		if !gone {
			waiting = append(waiting, "the private zone's end")
		}
	}
	return waiting, t.publish(ctx, c, address)
}

// formerZone is the private zone that a cluster had before its zone was changed to none.
const formerZone = "formerZone"

// leaveZone removes the cluster's record and link from a zone, and the zone, if the cluster made it. It tells whether all is gone.
func (t *typ) leaveZone(ctx context.Context, c shape.Cluster, zone string) (bool, error) {
	for _, ids := range [][]string{{recordID(c, zone), linkID(c, zone)}, ownZone(c, zone)} {
		gone := true
		for _, id := range ids {
			g, err := t.remove(ctx, id)
			if err != nil {
				return false, err
			}
			gone = gone && g
		}
		if !gone {
			return false, nil
		}
	}
	return true, nil
}

// ownZone is the zone, if the cluster made it.
func ownZone(c shape.Cluster, zone string) []string {
	if strings.HasPrefix(strings.ToLower(zone), c.NodeGroup().Key()+"/") {
		return []string{zone}
	}
	return nil
}

// remove begins the removal of a resource, and tells whether it is gone.
func (t *typ) remove(ctx context.Context, id string) (bool, error) {
	have, err := t.Read().Get(ctx, id)
	if arm.IsNotFound(err) {
		return true, nil
	}
	if err != nil || have.Deleting {
		return false, err
	}
	gone, err := t.Kernel.Delete(ctx, arm.System, id)
	if err != nil {
		return false, fmt.Errorf("%s: %w", shortName(id), err)
	}
	return gone, nil
}

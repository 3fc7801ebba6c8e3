package networkinterfaces

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/provider/network/loadbalancers"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// reconcile writes what the fabric makes of an interface that is attached to a machine, and waits until it is made.
func (t typ) reconcile(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	key := spec.NICKey(r.ParsedID().Key())
	done := arm.Progress{Done: true, Percent: 100}
	if kit.Doc(r.Private).Str(sandboxKey) == "" {
		return done, remove(ctx, t.Store, key)
	}
	want, err := t.wanted(ctx, r)
	if err != nil {
		return arm.Progress{}, err
	}
	var have spec.NIC
	rev, err := t.Store.Get(ctx, key, &have)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return arm.Progress{}, err
	}
	if err != nil || !reflect.DeepEqual(have, want) {
		tx := (&store.Tx{}).Expect(arm.Key(r.ID), r.Rev).Update(key, rev, want)
		if _, err := t.Store.Commit(ctx, tx); err != nil {
			return arm.Progress{}, fmt.Errorf("interface %s: %w", r.ID, err)
		}
	}
	var s spec.AttachStatus
	if _, err := t.Store.Get(ctx, spec.StatusKey(key), &s); err != nil && !errors.Is(err, store.ErrNotFound) {
		return arm.Progress{}, err
	}
	if s.Ready {
		return done, nil
	}
	return arm.Progress{Percent: 50, Note: strings.TrimSpace("the interface is being attached " + s.Message)}, nil
}

func remove(ctx context.Context, s store.Store, key string) error {
	rev, err := s.Get(ctx, key, nil)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.Commit(ctx, (&store.Tx{}).Expect(key, rev).Delete(key))
	return err
}

// wanted is the interface's spec.
func (t typ) wanted(ctx context.Context, r *arm.Resource) (spec.NIC, error) {
	props, private := kit.Props(r), kit.Doc(r.Private)
	subnet := strings.ToLower(usesOf(r).subnet)
	nic := spec.NIC{
		Name: r.ParsedID().Key(), Owner: r.ID, Network: kit.NetworkOf(subnet), Subnet: subnet, Sandbox: private.Str(sandboxKey), Interface: "eth0",
		MAC: strings.ToLower(strings.ReplaceAll(props.Str("macAddress"), "-", ":")), SecurityGroup: strings.ToLower(props.ID("networkSecurityGroup")),
	}
	if machine := private.Str(machineKey); machine != "" {
		nic.Owner = machine
	}
	for _, c := range props.Docs("ipConfigurations") {
		p := c.Doc("properties")
		a, err := netip.ParseAddr(p.Str("privateIPAddress"))
		if err != nil {
			return nic, fmt.Errorf("address of %s: %w", configID(r, c), err)
		}
		if !p.Bool("primary") {
			nic.Secondary = append(nic.Secondary, a)
			continue
		}
		nic.Address = a
		if nic.Public, nic.Outbound, err = t.publicAddresses(ctx, p); err != nil {
			return nic, err
		}
	}
	return nic, nil
}

// publicAddresses are the configuration's own address, and the one that a load balancer gives it for outbound connections.
func (t typ) publicAddresses(ctx context.Context, p kit.Doc) (public, outbound netip.Addr, err error) {
	if id := p.ID("publicIPAddress"); id != "" {
		r, err := t.Read().Get(ctx, id)
		if err != nil {
			return public, outbound, err
		}
		public = kit.PublicAddress(r)
	}
	for _, pool := range p.Docs("loadBalancerBackendAddressPools") {
		lb, err := t.Read().Get(ctx, balancerOf(pool.Str("id")))
		if err != nil {
			return public, outbound, err
		}
		if outbound, err = loadbalancers.Outbound(ctx, t.Read(), lb, pool.Str("id")); err != nil || outbound.IsValid() {
			return public, outbound, err
		}
	}
	return public, outbound, nil
}

// SetSandbox attaches an interface to a machine: sandbox is the network namespace that gets it, machine the id of the resource
// that it belongs to, or empty. An empty sandbox takes it away. The interface's spec follows.
func SetSandbox(ctx context.Context, s store.Store, id, sandbox, machine string) error {
	r, err := (&arm.Resources{Store: s}).Get(ctx, id)
	if err != nil {
		return err
	}
	if kit.Doc(r.Private).Str(sandboxKey) == sandbox && kit.Doc(r.Private).Str(machineKey) == machine {
		return nil
	}
	if r.Private == nil {
		r.Private = map[string]any{}
	}
	r.Private[sandboxKey], r.Private[machineKey] = sandbox, machine
	tx := &store.Tx{}
	arm.Put(tx, r)
	_, err = s.Commit(ctx, tx)
	return err
}

// view gives the configurations their ids, and adds what follows from the interface's use.
func view(_ context.Context, r *arm.Resource, doc map[string]any) error {
	props := kit.Doc(doc).Sub("properties")
	kit.ShowParts(r, props, "ipConfigurations", kit.InterfaceType)
	private := kit.Doc(r.Private)
	if id := private.Str(machineKey); id != "" {
		props["virtualMachine"], props["primary"] = map[string]any{"id": id}, true
	}
	if id := private.Str(EndpointKey); id != "" {
		props["privateEndpoint"] = map[string]any{"id": id}
	}
	props.Default("auxiliaryMode", "None")
	props.Default("auxiliarySku", "None")
	props.Default("disableTcpStateTracking", false)
	dns := props.Sub("dnsSettings")
	dns.Default("dnsServers", []any{})
	dns.Default("appliedDnsServers", []any{})
	props["hostedWorkloads"], props["tapConfigurations"], props["vnetEncryptionSupported"] = []any{}, []any{}, false
	return nil
}

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

// reconcile waits until an approved endpoint leads somewhere. One that waits for its approval is done.
func (t typ) reconcile(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	done := arm.Progress{Done: true, Percent: 100}
	c, _ := connection(kit.Props(r))
	if r.Operation == "" || c.Str("properties.privateLinkServiceConnectionState.status") != Approved {
		return done, nil
	}
	var s spec.AttachStatus
	_, err := t.Store.Get(ctx, spec.StatusKey(spec.EndpointKey(r.ParsedID().Key())), &s)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return arm.Progress{}, err
	}
	if s.Ready {
		return done, nil
	}
	return arm.Progress{Percent: 50, Note: strings.TrimSpace("the endpoint is being connected " + s.Message)}, nil
}

// remove takes the endpoint's spec, interface and addresses away, all at once.
func (t typ) remove(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	done := arm.Progress{Done: true, Percent: 100}
	tx := &store.Tx{}
	links := kit.NewLinks(t.Read(), tx)
	private := kit.Doc(r.Private)
	nic, err := links.Load(ctx, private.Str(interfaceKey))
	if err != nil {
		return arm.Progress{}, err
	}
	key := spec.EndpointKey(r.ParsedID().Key())
	_, err = t.Store.Get(ctx, key, nil)
	there := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return arm.Progress{}, err
	}
	if nic == nil && !there {
		return done, nil
	}
	if err := t.freeAddresses(ctx, links, r); err != nil {
		return arm.Progress{}, err
	}
	links.Save()
	tx.Delete(key)
	if nic != nil {
		below, err := t.Read().Below(ctx, nic.ID, "")
		if err != nil {
			return arm.Progress{}, err
		}
		for _, d := range append(below, nic) {
			arm.Delete(tx, d)
		}
	}
	if _, err := t.Store.Commit(ctx, tx); err != nil {
		return arm.Progress{}, fmt.Errorf("private endpoint %s: %w", r.ID, err)
	}
	return done, nil
}

func (t typ) freeAddresses(ctx context.Context, links *kit.Links, r *arm.Resource) error {
	subnet, err := links.Load(ctx, kit.Props(r).ID("subnet"))
	if err != nil || subnet == nil {
		return err
	}
	pool, err := links.Subnet(ctx, subnet)
	if err != nil {
		return err
	}
	kit.ReleaseBelow(pool, kit.Doc(r.Private).Str(interfaceKey))
	links.Took(pool)
	return nil
}

// view shows the endpoint's interface, its connection's parts, and the names that lead to it.
func (t typ) view(ctx context.Context, r *arm.Resource, doc map[string]any) error {
	props := kit.Doc(doc).Sub("properties")
	for _, list := range []string{automatic, manual} {
		kit.ShowParts(r, props, list, kit.EndpointType)
	}
	props["networkInterfaces"] = kit.Refs([]string{kit.Doc(r.Private).Str(interfaceKey)})
	props.Default("ipConfigurations", []any{})
	props.Default("customNetworkInterfaceName", "")
	var e spec.Endpoint
	_, err := t.Store.Get(ctx, spec.EndpointKey(r.ParsedID().Key()), &e)
	if errors.Is(err, store.ErrNotFound) {
		props["customDnsConfigs"] = []any{}
		return nil
	}
	if err != nil {
		return err
	}
	names, err := Names(ctx, t.Store, r, e.Service)
	if err != nil {
		return err
	}
	configs := []any{}
	for _, n := range names {
		configs = append(configs, map[string]any{"fqdn": n, "ipAddresses": []any{e.Address.String()}})
	}
	props["customDnsConfigs"] = configs
	return nil
}

// Names are the host names of the service that an endpoint leads to.
func Names(ctx context.Context, s store.Reader, endpoint *arm.Resource, service string) ([]string, error) {
	c, _ := connection(kit.Props(endpoint))
	for _, t := range targets {
		if strings.Contains(strings.ToLower(c.Str("properties.privateLinkServiceId")), "/"+strings.ToLower(t.Type)+"/") {
			return t.Names(ctx, s, service)
		}
	}
	return nil, nil
}

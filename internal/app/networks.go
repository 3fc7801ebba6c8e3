package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/netplan"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// switchboard is what the fabric does for networks.
type switchboard interface {
	UplinkMTU() (int, error)
	Uplinks(lan []netip.Prefix) ([]netplan.Uplink, error)
	Apply(ctx context.Context, scope string, number int64, namespaces []netplan.Namespace) error
	Sweep(keep map[string]bool) (gone []string, err error)
	Path(name string) string
}

// networks plans all virtual networks and has the fabric apply what changed.
type networks struct {
	cfg    config.Config
	store  store.Store
	fabric switchboard
	health func(error) // told how the last plan went; nil: nobody asks
	log    *slog.Logger
	number int64
	last   map[string][]netplan.Namespace // what was applied, by scope
}

// theNetworks is the one key: many changes at once become one plan.
const theNetworks = "networks"

// heal is how soon rules that somebody flushed are there again.
const heal = 3 * time.Second

func (n *networks) reconciler() reconcile.Reconciler {
	one := func(context.Context, store.Event) []string { return []string{theNetworks} }
	network := func(_ context.Context, e store.Event) []string {
		if strings.Contains(e.Key, "/providers/microsoft.network/") {
			return []string{theNetworks}
		}
		return nil
	}
	return reconcile.Reconciler{
		Name: "networks", Workers: 1, Always: []string{theNetworks}, // the host's rules are kept also while there is no network
		Writes: []string{spec.StatusPrefix + "nic/", spec.StatusPrefix + "endpoint/", spec.StatusPrefix + "service/", spec.SandboxPrefix, "/ipam/" + linkPool},
		Watches: []reconcile.Watch{
			{Prefix: "/res/", Map: network}, {Prefix: spec.NICPrefix, Map: one}, {Prefix: spec.EndpointPrefix, Map: one},
			{Prefix: spec.ServicePrefix, Map: one}, {Prefix: spec.WorkloadPrefix, Map: one},
		},
		Reconcile: func(ctx context.Context, _ string) (reconcile.Result, error) {
			err := n.reconcile(ctx)
			if n.health != nil && !errors.Is(err, store.ErrConflict) {
				n.health(err)
			}
			return reconcile.Result{After: heal}, err
		},
	}
}

func (n *networks) reconcile(ctx context.Context) error {
	snap, err := collect(ctx, n.store)
	if err != nil {
		return err
	}
	mtu, err := n.fabric.UplinkMTU()
	if err != nil {
		return err
	}
	for i := range snap.networks {
		snap.networks[i].MTU = mtu
	}
	uplinks, err := n.fabric.Uplinks(n.cfg.LANPrefixes)
	if err != nil {
		return err
	}
	n.number++
	host := hostOf(n.cfg, mtu, uplinks)
	host.Networks, host.Services = snap.networks, snap.services
	plans := map[string][]netplan.Namespace{"host": netplan.ForHost(host)}
	// The host's plan is repeated always: somebody else may have flushed the host's rules.
	if err := n.fabric.Apply(ctx, "host", n.number, plans["host"]); err != nil {
		return fmt.Errorf("plan of the host: %w", err)
	}
	var errs []error
	keep := map[string]bool{}
	for _, network := range snap.networks {
		keep[netplan.NetworkNS(network.ID)] = true
		plan := netplan.ForNetwork(network)
		plans[network.ID] = plan
		if reflect.DeepEqual(plan, n.last[network.ID]) {
			continue
		}
		if err := n.fabric.Apply(ctx, network.ID, n.number, plan); err != nil {
			errs = append(errs, fmt.Errorf("plan of %s: %w", network.ID, err))
			delete(plans, network.ID)
		}
	}
	n.last = plans
	for _, network := range snap.networks {
		if _, ok := plans[network.ID]; ok {
			errs = append(errs, n.report(ctx, network))
		}
	}
	for _, svc := range snap.services {
		errs = append(errs, putStatus(ctx, n.store, spec.StatusKey(spec.ServiceKey(svc.Name)), spec.AttachStatus{Ready: true}))
	}
	errs = append(errs, n.sweep(ctx, snap, keep))
	return errors.Join(errs...)
}

// hostOf is what is planned for the host before there is any network.
func hostOf(c config.Config, mtu int, uplinks []netplan.Uplink) netplan.Host {
	return netplan.Host{Pool: c.PublicPool, Edge: c.EdgeAddress(), ARM: c.ARMAddress(), DNS: c.DNSAddress(), LAN: c.LANPrefixes, MTU: mtu, Uplinks: uplinks}
}

// report says which NICs and endpoints are attached.
func (n *networks) report(ctx context.Context, network netplan.Network) error {
	for _, nic := range network.NICs {
		if err := putStatus(ctx, n.store, spec.SandboxKey(nic.Sandbox), spec.SandboxStatus{Path: n.fabric.Path(nic.Sandbox)}); err != nil {
			return err
		}
		if err := putStatus(ctx, n.store, spec.StatusKey(spec.NICKey(nic.Name)), spec.AttachStatus{Ready: true}); err != nil {
			return err
		}
	}
	for _, e := range network.Ends {
		if err := putStatus(ctx, n.store, spec.StatusKey(spec.EndpointKey(e.Name)), spec.AttachStatus{Ready: true}); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes namespaces and statuses of what is gone.
func (n *networks) sweep(ctx context.Context, snap *snapshot, keep map[string]bool) error {
	workloads, err := all[spec.Workload](ctx, n.store, spec.WorkloadPrefix)
	if err != nil {
		return err
	}
	for _, w := range workloads {
		if w.Sandbox != "" {
			snap.sandboxes[w.Sandbox] = true
		}
	}
	for name := range snap.sandboxes {
		keep[name] = true
	}
	gone, err := n.fabric.Sweep(keep)
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		n.log.InfoContext(ctx, "removed network namespaces", "names", gone)
	}
	for _, prefix := range []string{spec.NICPrefix, spec.ServicePrefix, spec.EndpointPrefix} {
		if err := n.forget(ctx, prefix); err != nil {
			return err
		}
	}
	sandboxes, _, err := n.store.List(ctx, spec.SandboxPrefix)
	if err != nil {
		return err
	}
	for _, d := range sandboxes {
		if !snap.sandboxes[strings.TrimPrefix(d.Key, spec.SandboxPrefix)] {
			if err := deleteKey(ctx, n.store, d.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// forget removes statuses whose spec is gone.
func (n *networks) forget(ctx context.Context, prefix string) error {
	specs, _, err := n.store.List(ctx, prefix)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, d := range specs {
		there[spec.StatusKey(d.Key)] = true
	}
	statuses, _, err := n.store.List(ctx, spec.StatusKey(prefix))
	if err != nil {
		return err
	}
	for _, d := range statuses {
		if !there[d.Key] {
			if err := deleteKey(ctx, n.store, d.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

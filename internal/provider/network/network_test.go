package network_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/provider/network"
	"cloister.dev/cloister/internal/provider/network/networkinterfaces"
	"cloister.dev/cloister/internal/provider/network/privateendpoints"
	"cloister.dev/cloister/internal/provider/network/virtualnetworks"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

const (
	rg     = sub + "/resourceGroups/rg"
	net    = rg + "/providers/Microsoft.Network"
	vnet   = net + "/virtualNetworks/v"
	subnet = vnet + "/subnets/s"
)

var admin = arm.Principal{ObjectID: "admin", Kind: "User"}

type bench struct {
	t      *testing.T
	ctx    context.Context
	store  store.Store
	server *arm.Server
}

func newBench(t *testing.T) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	s := storetest.New(t)
	b := &bench{t, ctx, s, newServer(t, s)}
	run(t, s, b.server)
	b.write(rg, `{"location":"eastus"}`)
	b.write(vnet, `{"location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]},"subnets":[{"name":"s","properties":{"addressPrefix":"10.240.0.0/16"}}]}}`)
	return b
}

func (b *bench) try(id, doc string) error {
	b.t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(doc), &body); err != nil {
		b.t.Fatal(err)
	}
	_, err := b.server.Write(b.ctx, admin, id, body, "")
	return err
}

func (b *bench) write(id, doc string) {
	b.t.Helper()
	if err := b.try(id, doc); err != nil {
		b.t.Fatal(err)
	}
}

// until looks at the condition after every change of the store.
func (b *bench) until(what string, done func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	_, rev, err := b.store.List(ctx, "/none/")
	if err != nil {
		b.t.Fatal(err)
	}
	changes := b.store.Watch(ctx, "/", rev)
	for !done() {
		if _, ok := <-changes; !ok {
			b.t.Fatalf("%s: not within a minute", what)
		}
	}
}

func get[T any](b *bench, key string) (T, bool) {
	b.t.Helper()
	var v T
	_, err := b.store.Get(b.ctx, key, &v)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		b.t.Fatal(err)
	}
	return v, err == nil
}

func (b *bench) resource(id string) *arm.Resource {
	b.t.Helper()
	r, err := b.server.Resources().Get(b.ctx, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) keys(prefix string) []string {
	b.t.Helper()
	docs, _, err := b.store.List(b.ctx, prefix)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, d := range docs {
		out = append(out, d.Key)
	}
	return out
}

func code(err error) string {
	var e *arm.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// TestAttach attaches an interface with everything to a machine, and takes it away.
func TestAttach(t *testing.T) {
	b := newBench(t)
	b.write(net+"/networkSecurityGroups/g", `{"location":"eastus"}`)
	b.write(net+"/publicIPAddresses/out", `{"location":"eastus","sku":{"name":"Standard"}}`)
	lb := net + "/loadBalancers/lb"
	b.write(lb, fmt.Sprintf(`{"location":"eastus","sku":{"name":"Standard"},"properties":{"frontendIPConfigurations":[{"name":"f","properties":{"publicIPAddress":{"id":"%[1]s/publicIPAddresses/out"}}}],
		"backendAddressPools":[{"name":"p"}],"outboundRules":[{"name":"o","properties":{"protocol":"All","frontendIPConfigurations":[{"id":"%[2]s/frontendIPConfigurations/f"}],"backendAddressPool":{"id":"%[2]s/backendAddressPools/p"}}}]}}`, net, lb))
	id := net + "/networkInterfaces/N"
	b.write(id, fmt.Sprintf(`{"location":"eastus","properties":{"networkSecurityGroup":{"id":"%s/networkSecurityGroups/g"},"ipConfigurations":[
		{"name":"a","properties":{"subnet":{"id":"%[2]s"},"loadBalancerBackendAddressPools":[{"id":"%[3]s/backendAddressPools/p"}]}},{"name":"b","properties":{"subnet":{"id":"%[2]s"}}}]}}`, net, subnet, lb))
	key := spec.NICKey(strings.ToLower(id))
	b.until("the interface is done", func() bool { return b.resource(id).Operation == "" })
	if nic, ok := get[spec.NIC](b, key); ok {
		t.Fatalf("an interface without a machine has a spec: %+v", nic)
	}
	if err := networkinterfaces.SetSandbox(b.ctx, b.store, id, "vm-1", "/vm/1"); err != nil {
		t.Fatal(err)
	}
	b.until("the interface has a spec", func() bool { _, ok := get[spec.NIC](b, key); return ok })
	nic, _ := get[spec.NIC](b, key)
	want := spec.NIC{
		Name: strings.ToLower(id), Owner: "/vm/1", Network: strings.ToLower(vnet), Subnet: strings.ToLower(subnet), Sandbox: "vm-1", Interface: "eth0", MAC: nic.MAC,
		Address: netip.MustParseAddr("10.240.0.4"), Secondary: []netip.Addr{netip.MustParseAddr("10.240.0.5")},
		SecurityGroup: strings.ToLower(net + "/networkSecurityGroups/g"), Outbound: netip.MustParseAddr("198.51.100.4"),
	}
	if fmt.Sprint(nic) != fmt.Sprint(want) || !strings.HasPrefix(nic.MAC, "00:0d:3a:") {
		t.Errorf("spec\n%+v, want\n%+v", nic, want)
	}
	if _, err := b.server.Delete(b.ctx, admin, id); code(err) != "NicInUse" {
		t.Errorf("deleting an interface of a machine: %v", err)
	}
	if _, err := b.server.Delete(b.ctx, admin, lb); code(err) != "InUseLoadBalancerCannotBeDeleted" {
		t.Errorf("deleting a load balancer with a machine behind it: %v", err)
	}
	if err := networkinterfaces.SetSandbox(b.ctx, b.store, id, "", ""); err != nil {
		t.Fatal(err)
	}
	b.until("the spec is gone", func() bool { _, ok := get[spec.NIC](b, key); return !ok })
	for _, gone := range []string{id, lb, net + "/publicIPAddresses/out", net + "/networkSecurityGroups/g", vnet} {
		if _, err := b.server.Delete(b.ctx, admin, gone); err != nil {
			t.Fatalf("delete %s: %v", gone, err)
		}
	}
	b.until("all is gone", func() bool { return len(b.keys("/res"+strings.ToLower(net))) == 0 })
	if left := b.keys("/ipam/"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDefaultOutbound gives a network a public address with its first machine, and takes it back with the network.
func TestDefaultOutbound(t *testing.T) {
	b := newBench(t)
	nic := spec.NIC{Name: "session/1", Network: strings.ToLower(vnet), Subnet: strings.ToLower(subnet), Address: netip.MustParseAddr("10.240.0.4"), Outbound: netip.MustParseAddr("198.51.100.77")}
	put := func() {
		if _, err := b.store.Commit(b.ctx, (&store.Tx{}).Put(spec.NICKey(nic.Name), nic)); err != nil {
			t.Fatal(err)
		}
	}
	put()
	b.write(net+"/publicIPAddresses/p", `{"location":"eastus"}`)
	if a := virtualnetworks.Outbound(b.resource(vnet)); a.IsValid() {
		t.Errorf("a network whose machine has its own address has %s, too", a)
	}
	nic.Outbound = netip.Addr{}
	put()
	b.until("the network has an address", func() bool { return virtualnetworks.Outbound(b.resource(vnet)).IsValid() })
	if a := virtualnetworks.Outbound(b.resource(vnet)); a != netip.MustParseAddr("198.51.100.5") {
		t.Errorf("address %s", a)
	}
	if _, err := b.store.Commit(b.ctx, (&store.Tx{}).Delete(spec.NICKey(nic.Name))); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{vnet, net + "/publicIPAddresses/p"} {
		if _, err := b.server.Delete(b.ctx, admin, id); err != nil {
			t.Fatal(err)
		}
	}
	b.until("the network is gone", func() bool { return len(b.keys("/res"+strings.ToLower(vnet))) == 0 })
	if left := b.keys("/ipam/"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestConnection lets the target's owner decide.
func TestConnection(t *testing.T) {
	b := newBench(t)
	b.write(rg+"/providers/Microsoft.ContainerService/managedClusters/c", `{"location":"eastus"}`)
	id := net + "/privateEndpoints/pe"
	b.write(id, fmt.Sprintf(`{"location":"eastus","properties":{"subnet":{"id":"%s"},"manualPrivateLinkServiceConnections":[{"name":"x","properties":{"privateLinkServiceId":"%s/providers/Microsoft.ContainerService/managedClusters/c","groupIds":["management"],"requestMessage":"please"}}]}}`, subnet, rg))
	key := spec.EndpointKey(strings.ToLower(id))
	if e, ok := get[spec.Endpoint](b, key); !ok || e.Approved || e.Return || e.Service != "c" || e.Address != netip.MustParseAddr("10.240.0.4") {
		t.Fatalf("a connection that waits: %+v", e)
	}
	all, err := privateendpoints.Connections(b.ctx, b.store, "c")
	if err != nil || len(all) != 1 || all[0].Endpoint != id || all[0].Status != "Pending" || all[0].Group != "management" || all[0].GUID == "" {
		t.Fatalf("connections %+v, %v", all, err)
	}
	b.until("it is settled", func() bool { return b.resource(id).Operation == "" })
	for _, status := range []string{privateendpoints.Approved, privateendpoints.Rejected} {
		if err := privateendpoints.SetConnection(b.ctx, b.store, id, status, "by the owner"); err != nil {
			t.Fatal(err)
		}
		if e, _ := get[spec.Endpoint](b, key); e.Approved != (status == privateendpoints.Approved) {
			t.Errorf("%s: %+v", status, e)
		}
		all, err := privateendpoints.Connections(b.ctx, b.store, "c")
		if err != nil || all[0].Status != status || all[0].Description != "by the owner" {
			t.Errorf("connections %+v, %v", all, err)
		}
	}
}

// TestAtOnce sends writes that exclude each other at the same time: exactly one of them wins.
func TestAtOnce(t *testing.T) {
	b := newBench(t)
	b.write(net+"/publicIPAddresses/p", `{"location":"eastus"}`)
	b.write(net+"/networkSecurityGroups/g", `{"location":"eastus"}`)
	for name, c := range map[string]struct {
		id, doc string
		codes   []string
	}{
		"overlapping subnets": {vnet + "/subnets/n%d", `{"properties":{"addressPrefix":"10.1.0.0/16"}}`, []string{"NetcfgSubnetRangesOverlap", "RequestConflict"}},
		"one public address":  {net + "/networkInterfaces/n%d", `{"location":"eastus","properties":{"ipConfigurations":[{"name":"a","properties":{"subnet":{"id":"` + subnet + `"},"publicIPAddress":{"id":"` + net + `/publicIPAddresses/p"}}}]}}`, []string{"PublicIPAddressInUse", "RequestConflict"}},
		"one private address": {net + "/networkInterfaces/s%d", `{"location":"eastus","properties":{"ipConfigurations":[{"name":"a","properties":{"subnet":{"id":"` + subnet + `"},"privateIPAllocationMethod":"Static","privateIPAddress":"10.240.9.9"}}]}}`, []string{"PrivateIPAddressIsAllocated", "RequestConflict"}},
		"one priority":        {net + "/networkSecurityGroups/g/securityRules/r%d", `{"properties":{"protocol":"*","access":"Deny","direction":"Inbound","priority":200,"sourceAddressPrefix":"*","destinationAddressPrefix":"*","destinationPortRange":"*"}}`, []string{"SecurityRuleConflict", "RequestConflict"}},
	} {
		t.Run(name, func(t *testing.T) {
			errs := make([]error, 8)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() { errs[i] = b.try(fmt.Sprintf(c.id, i), c.doc) })
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				switch {
				case err == nil:
					won++
				case code(err) != c.codes[0] && code(err) != c.codes[1]:
					t.Errorf("refused with %v", err)
				}
			}
			if won != 1 {
				t.Errorf("%d won: %v", won, errs)
			}
		})
	}
}

// TestPoolIsFull takes every public address that there is.
func TestPoolIsFull(t *testing.T) {
	b := newBench(t)
	c := config.Default()
	used := map[netip.Addr]string{}
	for a := c.DNSAddress().Next(); c.PublicPool.Contains(a); a = a.Next() {
		used[a] = "somebody"
	}
	if _, err := b.store.Commit(b.ctx, (&store.Tx{}).Put("/ipam/pool/public", used)); err != nil {
		t.Fatal(err)
	}
	if err := b.try(net+"/publicIPAddresses/p", `{"location":"eastus"}`); code(err) != "PublicIPCountLimitReached" {
		t.Errorf("%v", err)
	}
}

// TestTypes holds what every type of the provider must have.
func TestTypes(t *testing.T) {
	for _, typ := range network.Types(network.Deps{}) {
		if !strings.HasPrefix(typ.Name, "Microsoft.Network/") || len(typ.APIVersions) == 0 || typ.Admit == nil {
			t.Errorf("%+v", typ)
		}
		if typ.Names != nil && typ.NameRule == "" {
			t.Errorf("%s: no words for its name's rule", typ.Name)
		}
	}
}

package containerservice_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/compute"
	"cloister.dev/cloister/internal/provider/containerservice"
	"cloister.dev/cloister/internal/provider/managedidentity"
	"cloister.dev/cloister/internal/provider/network"
	"cloister.dev/cloister/internal/provider/privatedns"
	"cloister.dev/cloister/internal/provider/resources/resourcegroups"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

const (
	sub       = "/subscriptions/22222222-2222-2222-2222-222222222222"
	group     = sub + "/resourceGroups/rg"
	nodeGroup = sub + "/resourceGroups/MC_rg_c_eastus"
	clusterID = group + "/providers/Microsoft.ContainerService/managedClusters/c"
	vnetID    = group + "/providers/Microsoft.Network/virtualNetworks/v"
	subnetID  = vnetID + "/subnets/s"
)

var user = arm.Principal{ObjectID: "u1", Kind: "User"}

type everything struct{}

func (everything) Authorize(context.Context, arm.Principal, string, string) error { return nil }
func (everything) Authenticate(*http.Request) (arm.Principal, error)              { return user, nil }

// bench is the real server with the real types, and a machine that does what specs say at once.
type bench struct {
	t      *testing.T
	store  store.Store
	server *arm.Server
	ctx    context.Context
}

func newBench(t *testing.T, s store.Store) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	b := &bench{t: t, store: s, ctx: ctx}
	server, err := arm.NewServer(arm.Options{Store: s, Authenticator: everything{}, Authorizer: everything{}, BaseURL: "https://arm", Locations: []string{"eastus"}})
	if err != nil {
		t.Fatal(err)
	}
	b.server = server
	deps := containerservice.Deps{Store: s, Kernel: server, Authorizer: everything{}, TenantID: "tenant", IssuerURL: "https://arm/oidc", Versions: []string{"1.36.5", "1.37.1"}}
	types := containerservice.Types(deps)
	types = append(types, compute.Types(compute.Deps{})...)
	types = append(types, managedidentity.Types("tenant")...)
	cfg := config.Default()
	net := network.Deps{Store: s, Config: cfg, Writer: server}
	types = append(types, network.Types(net)...)
	types = append(types, privatedns.Types(privatedns.Deps{Store: s})...)
	types = append(types, resourcegroups.New())
	if err := server.Add(types, slices.Concat(containerservice.Routes(deps), compute.Routes(compute.Deps{Store: s}), network.Routes(net))); err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs the reconcilers and the machine, and returns what stops them.
func (b *bench) start() (stop func()) { return b.startWith(b) }

// startWith has another bench's machine do the work.
func (b *bench) startWith(other *bench) (stop func()) {
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = reconcile.Run(ctx, b.store, testLog(b.t), b.server.Reconcilers())
	}()
	machine := make(chan struct{})
	go func() {
		defer close(machine)
		other.machine(ctx)
	}()
	return func() { cancel(); <-done; <-machine }
}

func (b *bench) pool(ctx context.Context, subnet string) (*ipam.Pool, error) {
	r, err := b.server.Resources().Get(ctx, subnet)
	if err != nil {
		return nil, err
	}
	prefix, err := netip.ParsePrefix(r.Properties()["addressPrefix"].(string))
	if err != nil {
		return nil, err
	}
	return ipam.Load(ctx, b.store, strings.ToLower(subnet), prefix, 4)
}

// machine reports every cluster and node as well as soon as it is wanted, and takes reports back when it is not.
func (b *bench) machine(ctx context.Context) {
	docs, rev, err := b.store.List(ctx, "/spec/")
	if err != nil {
		return
	}
	for _, d := range docs {
		b.obey(ctx, store.Event{Doc: d})
	}
	for e := range b.store.Watch(ctx, "/spec/", rev) {
		b.obey(ctx, e)
	}
}

func (b *bench) obey(ctx context.Context, e store.Event) {
	tx := &store.Tx{}
	status := spec.StatusKey(e.Key)
	switch {
	case strings.HasPrefix(e.Key, spec.EndpointPrefix) && !e.Deleted:
		tx.Put(status, spec.AttachStatus{Ready: true})
	case !strings.HasPrefix(e.Key, spec.ClusterPrefix) && !strings.HasPrefix(e.Key, spec.NodePrefix) && !strings.HasPrefix(e.Key, spec.EndpointPrefix):
		return
	case e.Deleted:
		tx.Delete(status)
	case strings.HasPrefix(e.Key, spec.ClusterPrefix):
		c := unmarshal[spec.Cluster](b.t, e.Value)
		tx.Put(status, spec.ClusterStatus{APIReady: !c.Stopped, AddonsSet: true, Version: "v" + c.Version, CertificateGeneration: c.CertificateGeneration})
		nodes, _, err := b.store.List(ctx, spec.NodeKey(c.Name, ""))
		if err != nil {
			return
		}
		for _, d := range nodes {
			tx.Put(spec.StatusKey(d.Key), played(unmarshal[spec.Node](b.t, d.Value), c))
		}
		tx.Put(spec.SecretKey("cluster", c.Name), spec.ClusterSecrets{CA: "ca", AdminCert: "ac", AdminKey: "ak", UserCert: "uc", UserKey: "uk"})
	default:
		n := unmarshal[spec.Node](b.t, e.Value)
		var c spec.Cluster
		if _, err := b.store.Get(ctx, spec.ClusterKey(n.Cluster), &c); err != nil && !errors.Is(err, store.ErrNotFound) {
			return
		}
		tx.Put(status, played(n, c))
	}
	if _, err := b.store.Commit(ctx, tx); err != nil && ctx.Err() == nil {
		b.t.Errorf("machine: %v", err)
	}
}

// played is what is reported of a node: what is wanted.
func played(n spec.Node, c spec.Cluster) spec.NodeStatus {
	return spec.NodeStatus{
		Registered: true, Ready: !n.Removing && !n.Stopped, Stopped: n.Stopped, Removed: n.Removing, Version: "v" + n.Version,
		CertificateGeneration: c.CertificateGeneration,
	}
}

func unmarshal[T any](t *testing.T, raw []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Error(err)
	}
	return v
}

// write sends a document as a person, and waits until its work is done.
func (b *bench) write(id, doc string) *arm.Resource {
	b.t.Helper()
	if _, err := b.server.Write(b.ctx, user, id, unmarshal[map[string]any](b.t, []byte(doc)), ""); err != nil {
		b.t.Fatal(err)
	}
	return b.settled(id)
}

// settled waits until no operation runs on the resource.
func (b *bench) settled(id string) *arm.Resource {
	b.t.Helper()
	var last *arm.Resource
	b.until(id+" is settled", func() bool {
		r, err := b.server.Resources().Get(b.ctx, id)
		if err != nil {
			b.t.Fatal(err)
		}
		last = r
		return r.Operation == ""
	})
	return last
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
			b.t.Fatalf("%s: not within a minute\n%s", what, b.dump())
		}
	}
}

func (b *bench) dump() string {
	var out strings.Builder
	docs, _, err := b.store.List(context.WithoutCancel(b.ctx), "/")
	if err != nil {
		return err.Error()
	}
	for _, d := range docs {
		if strings.HasPrefix(d.Key, "/op/") || strings.HasPrefix(d.Key, "/status/") {
			out.WriteString(d.Key + " " + string(d.Value) + "\n")
		}
	}
	return out.String()
}

func (b *bench) document(id string) map[string]any {
	b.t.Helper()
	r, err := b.server.Resources().Get(b.ctx, id)
	if err != nil {
		b.t.Fatal(err)
	}
	doc, err := b.server.Document(b.ctx, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return doc
}

// keys lists the store's keys below the prefix.
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

func (b *bench) exists(id string) bool {
	b.t.Helper()
	_, err := b.server.Resources().Get(b.ctx, id)
	if err != nil && !arm.IsNotFound(err) {
		b.t.Fatal(err)
	}
	return err == nil
}

func (b *bench) delete(id string) {
	b.t.Helper()
	if _, err := b.server.Delete(b.ctx, user, id); err != nil {
		b.t.Fatal(err)
	}
	b.until(id+" is gone", func() bool { return !b.exists(id) })
}

// prepared is a bench with a group and a network, that runs.
func prepared(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, storetest.New(t))
	t.Cleanup(b.start())
	b.surroundings()
	return b
}

func (b *bench) surroundings() {
	b.t.Helper()
	for _, w := range []struct{ id, doc string }{
		{group, `{"location":"eastus"}`},
		{vnetID, `{"location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.240.0.0/16"]}}}`},
		{subnetID, `{"properties":{"addressPrefix":"10.240.0.0/22"}}`},
	} {
		if _, err := b.server.Write(b.ctx, user, w.id, unmarshal[map[string]any](b.t, []byte(w.doc)), ""); err != nil {
			b.t.Fatal(err)
		}
	}
}

func code(err error) string {
	var e *arm.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (b *bench) commit(p *ipam.Pool) {
	b.t.Helper()
	tx := &store.Tx{}
	p.Save(tx)
	if _, err := b.store.Commit(b.ctx, tx); err != nil {
		b.t.Fatal(err)
	}
}

package containerservice_test

import (
	"strings"
	"testing"

	"cloister.dev/cloister/internal/store/storetest"
)

// TestOneAtATime holds writes to a cluster and its pools off while one of them is being changed. Nothing runs: no operation ends.
func TestOneAtATime(t *testing.T) {
	b := newBench(t, storetest.New(t))
	b.surroundings()
	b.plain(clusterID, create)
	again := func(id, doc string) string {
		_, err := b.server.Write(b.ctx, user, id, unmarshal[map[string]any](t, []byte(doc)), "")
		return code(err)
	}
	if got := again(clusterID, create); got != "OperationNotAllowed" {
		t.Errorf("a second write to the cluster: %q", got)
	}
	if got := again(clusterID+"/agentPools/np2", `{"properties":{"count":1}}`); got != "OperationNotAllowed" {
		t.Errorf("a pool while the cluster is made: %q", got)
	}
	if _, err := b.server.Delete(b.ctx, user, clusterID+"/agentPools/nodepool1"); code(err) != "OperationNotAllowed" {
		t.Errorf("deleting a pool while the cluster is made: %v", err)
	}
	stop := b.start()
	b.settled(clusterID)
	stop()
	b.plain(clusterID+"/agentPools/np2", `{"properties":{"count":1}}`)
	if got := again(clusterID, create); got != "OperationNotAllowed" {
		t.Errorf("the cluster while a pool is made: %q", got)
	}
	if got := again(clusterID+"/agentPools/np3", `{"properties":{"count":1}}`); got != "" {
		t.Errorf("another pool while a pool is made: %q", got)
	}
}

// TestBadPools has one mistake in each request for a pool.
func TestBadPools(t *testing.T) {
	b := prepared(t)
	b.write(clusterID, create)
	for _, c := range []struct{ name, id, doc, want string }{
		{"size", "np2", `{"properties":{"vmSize":"Standard_Huge"}}`, "VMSizeNotSupported"},
		{"no room", "np2", `{"properties":{"count":100}}`, "InsufficientSubnetSize"},
		{"version", "np2", `{"properties":{"orchestratorVersion":"1.1.1"}}`, "AgentPoolK8sVersionNotSupported"},
		{"another network", "np2", `{"properties":{"vnetSubnetID":"` + vnetID + `2/subnets/s"}}`, "VnetNotFound"},
		{"name", "Np_2", `{"properties":{}}`, "InvalidResourceName"},
		{"last system pool", "nodepool1", `{"properties":{"mode":"User"}}`, "OperationNotAllowed"},
		{"size changed", "nodepool1", `{"properties":{"vmSize":"Standard_D4s_v5"}}`, "PropertyChangeNotAllowed"},
		{"kind", "np2", `{"properties":{"count":"many"}}`, "InvalidParameter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := b.server.Write(b.ctx, user, clusterID+"/agentPools/"+c.id, unmarshal[map[string]any](t, []byte(c.doc)), ""); code(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
	_, err := b.server.Write(b.ctx, user, strings.Replace(clusterID, "/c", "/nobody", 1)+"/agentPools/np", map[string]any{}, "")
	if code(err) != "ParentResourceNotFound" {
		t.Errorf("a pool of no cluster: %v", err)
	}
}

// TestTerminal ends an operation that cannot succeed, and lets it be tried again.
func TestTerminal(t *testing.T) {
	b := newBench(t, storetest.New(t))
	b.surroundings()
	b.plain(clusterID, create)
	p, err := b.pool(b.ctx, subnetID) // somebody takes the addresses between admission and the nodes
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Take("somebody", p.Free()-40); err != nil {
		t.Fatal(err)
	}
	b.commit(p)
	t.Cleanup(b.start())
	r := b.settled(clusterID)
	if r.State != "Failed" || r.Error == nil || r.Error.Code != "InsufficientSubnetSize" {
		t.Fatalf("state %s, %v", r.State, r.Error)
	}
	if p, err = b.pool(b.ctx, subnetID); err != nil {
		t.Fatal(err)
	}
	p.Release("somebody")
	b.commit(p)
	if r := b.write(clusterID, create); r.State != "Succeeded" {
		t.Fatalf("state %s, %v", r.State, r.Error)
	}
	b.delete(clusterID)
	checkNothing(b)
}

// TestDeleteWhileItIsMade gives a cluster up at every stage.
func TestDeleteWhileItIsMade(t *testing.T) {
	for _, stage := range []struct{ name, prefix string }{
		{"admitted", "/res" + strings.ToLower(clusterID)}, {"group", "/res" + strings.ToLower(nodeGroup)}, {"endpoint", "/spec/endpoint/"}, {"control plane", "/spec/cluster/"}, {"nodes", "/spec/node/"},
	} {
		t.Run(stage.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, storetest.New(t))
			b.surroundings()
			b.plain(clusterID, create)
			t.Cleanup(b.startWith(newBench(t, storetest.New(t)))) // a machine that never does anything
			b.until(stage.name, func() bool { return len(b.keys(stage.prefix)) > 0 })
			b.delete(clusterID)
			checkNothing(b)
		})
	}
}

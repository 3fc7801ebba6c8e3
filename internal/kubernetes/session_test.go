package kubernetes

import (
	"testing"
	"time"

	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// TestSession follows a cluster whose API server answers: it is reported, gets
// its add-ons, its node is labelled, reported, drained and deleted.
func TestSession(t *testing.T) {
	s := storetest.New(t)
	pod := func(name, kind string) map[string]any {
		return map[string]any{"metadata": map[string]any{
			"name": name, "namespace": "default",
			"ownerReferences": []any{map[string]any{"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "x", "controller": true}},
		}}
	}
	api := newFakeAPI(t, s)
	api.pods["web"], api.pods["agent"] = pod("web", "ReplicaSet"), pod("agent", "DaemonSet")
	volume := func(name, provisioner, node string) {
		api.volumes[name] = map[string]any{"metadata": map[string]any{"name": name, "annotations": map[string]any{
			"pv.kubernetes.io/provisioned-by": provisioner, "local.path.provisioner/selected-node": node,
		}}}
	}
	volume("here", "cloister.dev/local-path", testNode.Name)
	volume("elsewhere", "cloister.dev/local-path", "another")
	volume("foreign", "example.com/disks", testNode.Name)
	start(t, s, api.dial)
	clusterKey, nodeKey := spec.ClusterKey(testCluster.Name), spec.NodeKey(testNode.Cluster, testNode.Name)
	workload := spec.WorkloadKey("node-abcdefghij-" + testNode.Name)
	commitTx(t, s, new(store.Tx).Put(clusterKey, testCluster).Put(nodeKey, testNode))
	until(t, s, spec.StatusKey(clusterKey), func(st spec.ClusterStatus) bool {
		return st == spec.ClusterStatus{APIReady: true, AddonsSet: true, Version: "v1.37.1", UID: "the-uid"}
	})
	if len(api.applied) < 20 {
		t.Errorf("add-ons: only %v", api.applied)
	}

	started := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	commitTx(t, s, new(store.Tx).Put(spec.StatusKey(workload), spec.WorkloadStatus{Phase: spec.PhaseRunning, StartedAt: started}))
	until(t, s, spec.StatusKey(nodeKey), func(st spec.NodeStatus) bool { return st.Message == "runs and has not registered yet" })
	api.setNode(testNode.Name, false)
	until(t, s, spec.StatusKey(nodeKey), func(st spec.NodeStatus) bool { return st.Registered && !st.Ready })
	api.setNode(testNode.Name, true)
	until(t, s, spec.StatusKey(nodeKey), func(st spec.NodeStatus) bool { return st.Ready && st.Version == "v1.37.1" })
	labels := api.node(testNode.Name)["metadata"].(map[string]any)["labels"].(map[string]any)
	for k, v := range map[string]string{"kubernetes.io/role": "agent", "agentpool": "nodepool1"} {
		if labels[k] != v {
			t.Errorf("label %s is %v", k, labels[k])
		}
	}

	removing := testNode
	removing.Removing = true
	commitTx(t, s, new(store.Tx).Put(nodeKey, removing))
	keys(t, s, spec.WorkloadPrefix, "cp-abcdefghij", "etcd-abcdefghij")
	if api.node(testNode.Name)["spec"].(map[string]any)["unschedulable"] != true {
		t.Error("the node was not cordoned")
	}
	if len(api.evicted) != 1 || api.evicted[0] != "web" {
		t.Errorf("evicted %v, want the one pod that is no daemon's", api.evicted)
	}
	commitTx(t, s, new(store.Tx).Delete(spec.StatusKey(workload)))
	until(t, s, spec.StatusKey(nodeKey), func(st spec.NodeStatus) bool { return st.Removed })
	if api.node(testNode.Name) != nil {
		t.Error("the node's object is still there")
	}
	if len(api.volumes) != 2 || api.volumes["here"] != nil {
		t.Errorf("volumes %v are left, want those that were not on the node", api.volumes)
	}
}

// TestSweep: the object of a node whose spec has gone is deleted, and a node that somebody else made stays.
func TestSweep(t *testing.T) {
	s := storetest.New(t)
	api := newFakeAPI(t, s)
	start(t, s, api.dial)
	nodeKey := spec.NodeKey(testNode.Cluster, testNode.Name)
	commitTx(t, s, new(store.Tx).Put(spec.ClusterKey(testCluster.Name), testCluster).Put(nodeKey, testNode))
	until(t, s, spec.StatusKey(spec.ClusterKey(testCluster.Name)), func(st spec.ClusterStatus) bool { return st.AddonsSet })
	api.setNode("foreign", true)
	api.setNode(testNode.Name, true)
	until(t, s, spec.StatusKey(nodeKey), func(st spec.NodeStatus) bool { return st.Ready })
	commitTx(t, s, new(store.Tx).Delete(nodeKey))
	keys(t, s, spec.WorkloadPrefix, "cp-abcdefghij", "etcd-abcdefghij")
	keys(t, s, spec.StatusKey(spec.NodePrefix))
	select {
	case name := <-api.deleted:
		if name != testNode.Name {
			t.Errorf("node %s was deleted", name)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the node's object is still there")
	}
	if api.node("foreign") == nil {
		t.Error("somebody else's node was deleted")
	}
}

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// fieldManager owns what Cloister sets in objects of clusters.
const fieldManager = "cloister"

// roleLabel is what `kubectl get nodes` shows as role; a kubelet may not set it.
var roleLabel = map[string]string{"kubernetes.io/role": "agent"}

// watchNodes prepares the session's watch: every change of a node leads to its status.
func (m *Manager) watchNodes(s *session) error {
	source := cache.NewListWatchFromClient(s.core.RESTClient(), "nodes", metav1.NamespaceAll, fields.Everything())
	s.nodes = cache.NewSharedIndexInformer(source, &corev1.Node{}, 0, cache.Indexers{})
	changed := func(obj any) {
		if d, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = d.Obj
		}
		if node, ok := obj.(*corev1.Node); ok {
			m.nodeChanged(s, node.Name)
		}
	}
	_, err := s.nodes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, obj any) { changed(obj) }, DeleteFunc: changed,
	})
	return err
}

// firstLook goes through every node once the watch has seen them all. Before,
// nothing can be said of a node, and a node that is not there sends no change.
func (m *Manager) firstLook(ctx context.Context, s *session) {
	if !cache.WaitForCacheSync(ctx.Done(), s.nodes.HasSynced) {
		return
	}
	names := s.nodes.GetStore().ListKeys()
	for _, key := range m.nodesOfCluster(ctx, store.Event{Doc: store.Doc{Key: spec.ClusterKey(s.cluster.Name)}}) {
		names = append(names, path.Base(key))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		m.nodeChanged(s, name)
	}
}

// nodeChanged labels the node as its spec says, and reports its status.
func (m *Manager) nodeChanged(s *session, name string) {
	ctx, cancel := context.WithTimeout(m.ctx, time.Minute)
	defer cancel()
	n, _, err := get[spec.Node](ctx, m.Store, spec.NodeKey(s.cluster.Name, name))
	switch {
	case err != nil:
	case n != nil:
		err = errors.Join(m.label(ctx, s, *n), m.taint(ctx, s, *n), m.reportNode(ctx, *n))
	default:
		err = m.sweepNode(ctx, s, name)
	}
	if err != nil && m.ctx.Err() == nil {
		m.Log.WarnContext(ctx, "status of a node", "cluster", s.cluster.Name, "node", name, "error", err)
		// Nobody else may come back to it: the object of a node that has gone sends no reports.
		m.wg.Go(func() {
			if pause(s.ctx, nodeRetry) == nil {
				m.nodeChanged(s, name)
			}
		})
	}
}

// nodeRetry is how soon a node is looked at again when that failed.
const nodeRetry = time.Second

// cached is the node as the session last saw it; nil: not registered, or not known.
func (s *session) cached(name string) *corev1.Node {
	obj, ok, err := s.nodes.GetStore().GetByKey(name)
	if err != nil || !ok {
		return nil
	}
	node, _ := obj.(*corev1.Node)
	return node
}

// label sets the labels that the spec has and the node has not. It owns them:
// a label that the spec loses goes away.
func (m *Manager) label(ctx context.Context, s *session, n spec.Node) error {
	node := s.cached(n.Name)
	if node == nil {
		return nil
	}
	want := maps.Clone(roleLabel)
	maps.Copy(want, n.Labels)
	if err := s.unlabel(ctx, n, node); err != nil {
		return err
	}
	if holds(node, want) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": n.Name, "labels": want},
	})
	if err != nil {
		return err
	}
	force := true
	_, err = s.core.Nodes().Patch(ctx, n.Name, types.ApplyPatchType, patch, metav1.PatchOptions{FieldManager: fieldManager, Force: &force})
	if gone(err) {
		return nil
	}
	return err
}

// unlabel removes what the kubelet registered with and the spec has lost: the
// kubelet owns these labels, too, so that they would stay.
func (s *session) unlabel(ctx context.Context, n spec.Node, node *corev1.Node) error {
	lost := map[string]any{}
	for k := range n.Register.Labels {
		_, wanted := n.Labels[k]
		if _, there := node.Labels[k]; there && !wanted {
			lost[k] = nil
		}
	}
	if len(lost) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": lost}})
	if err != nil {
		return err
	}
	_, err = s.core.Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if gone(err) {
		return nil
	}
	return err
}

// holds says whether the labels that Cloister owns on the node are the wanted ones.
func holds(node *corev1.Node, want map[string]string) bool {
	for k, v := range want {
		if got, ok := node.Labels[k]; !ok || got != v {
			return false
		}
	}
	return len(want) == ownedLabels(node)
}

// ownedLabels counts the labels that Cloister owns on the node; 0: it is none of Cloister's.
func ownedLabels(node *corev1.Node) int {
	for _, f := range node.ManagedFields {
		if f.Manager != fieldManager || f.Operation != metav1.ManagedFieldsOperationApply || f.FieldsV1 == nil {
			continue
		}
		var owned struct {
			Metadata struct {
				Labels map[string]json.RawMessage `json:"f:labels"`
			} `json:"f:metadata"`
		}
		if json.Unmarshal(f.FieldsV1.GetRawBytes(), &owned) != nil {
			return 0
		}
		delete(owned.Metadata.Labels, ".")
		return len(owned.Metadata.Labels)
	}
	return 0
}

// reportNode writes the node's status, if it says something new. Several may
// write it at once; a conflict means that there is something newer to read.
func (m *Manager) reportNode(ctx context.Context, n spec.Node) error {
	for {
		err := m.reportNodeOnce(ctx, n)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func (m *Manager) reportNodeOnce(ctx context.Context, n spec.Node) error {
	key := spec.NodeKey(n.Cluster, n.Name)
	rev, err := m.Store.Get(ctx, key, nil)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	old, oldRev, err := get[spec.NodeStatus](ctx, m.Store, spec.StatusKey(key))
	if err != nil {
		return err
	}
	workload, _, err := get[spec.WorkloadStatus](ctx, m.Store, spec.StatusKey(spec.WorkloadKey(nodeWorkload(n.Cluster, n.Name))))
	if err != nil {
		return err
	}
	s := m.session(n.Cluster)
	known := s != nil && s.nodes.HasSynced()
	var st spec.NodeStatus
	switch {
	case old != nil && old.Removed:
		return nil
	case n.Stopped && old != nil:
		st = spec.NodeStatus{Registered: old.Registered, Version: old.Version, Stopped: workload == nil || workload.Phase == spec.PhaseStopped, Message: "stopping"}
		if st.Stopped {
			st.Message = "stopped"
		}
	case known:
		st = nodeStatus(s.cached(n.Name), workload)
	case old != nil && old.Registered:
		return nil // nothing is known that is newer
	default:
		st = nodeStatus(nil, workload)
	}
	if workload != nil {
		st.CertificateGeneration = workload.Generation
	}
	tx := new(store.Tx)
	// Not put: what was read here decided, and the node's removal may have been written since.
	if err := rewrite(tx, spec.StatusKey(key), old, oldRev, st); err != nil || len(tx.Changes) == 0 {
		return err
	}
	return commit(ctx, m.Store, tx.Expect(key, rev))
}

// nodeStatus says how a node does, by its object and its container; either may be nil.
func nodeStatus(node *corev1.Node, workload *spec.WorkloadStatus) spec.NodeStatus {
	if node == nil {
		switch {
		case workload == nil:
			return spec.NodeStatus{Message: "waits for its container"}
		case workload.Phase != spec.PhaseRunning:
			return spec.NodeStatus{Message: join("its container is "+string(workload.Phase), workload.Message)}
		}
		return spec.NodeStatus{Message: "runs and has not registered yet"}
	}
	st := spec.NodeStatus{Registered: true, Version: node.Status.NodeInfo.KubeletVersion, Message: "has not reported its condition yet"}
	if workload != nil && workload.Phase != spec.PhaseRunning {
		st.Message = join("its container is "+string(workload.Phase), workload.Message)
		return st
	}
	for _, c := range node.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		switch {
		case workload != nil && c.LastHeartbeatTime.Time.Before(workload.StartedAt):
			st.Message = "has not reported since its container started"
		case c.Status == corev1.ConditionTrue:
			st.Ready, st.Message = true, ""
		default:
			st.Message = join(c.Reason, c.Message)
		}
	}
	return st
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + ": " + b
}

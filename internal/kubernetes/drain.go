package kubernetes

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"cloister.dev/cloister/internal/spec"
)

// drainLimit is how long a node's removal waits for its pods. AKS waits longer;
// here, a budget that allows nothing shall not keep a cluster from shrinking.
const drainLimit = 90 * time.Second

// drained takes a step of draining the node: it keeps new pods away and evicts
// those that are there. It is true when none is left that matters, when the
// time is up, and when the API server does not answer.
func (m *Manager) drained(ctx context.Context, s *session, n spec.Node) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*checkTimeout)
	defer cancel()
	left, err := evict(ctx, s, n.Name)
	if err == nil && left == 0 {
		return true
	}
	log := m.Log.With("cluster", n.Cluster, "node", n.Name)
	if m.now().Sub(m.drainStart(n.Cluster, n.Name)) > drainLimit {
		log.WarnContext(ctx, "a node goes that could not be drained", "pods", left, "error", err)
		return true
	}
	if err != nil {
		log.WarnContext(ctx, "drain a node", "error", err)
	}
	return false
}

// evict cordons the node and asks every pod on it to go; left is how many have not gone.
func evict(ctx context.Context, s *session, node string) (left int, err error) {
	_, err = s.core.Nodes().Patch(ctx, node, types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{FieldManager: fieldManager})
	if gone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pods, err := s.core.Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return 0, err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !evictable(pod) {
			continue
		}
		left++
		if pod.DeletionTimestamp != nil {
			continue
		}
		err := s.core.Pods(pod.Namespace).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}})
		switch {
		case gone(err):
			left--
		case err != nil && !apierrors.IsTooManyRequests(err): // a disruption budget: ask again
			return left, err
		}
	}
	return left, nil
}

// evictable says whether the node waits for the pod: not for those that have
// ended and stay, that a DaemonSet would make again, or that the node itself made.
func evictable(pod *corev1.Pod) bool {
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	if ended && pod.DeletionTimestamp == nil {
		return false
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return false
	}
	return !slices.ContainsFunc(pod.OwnerReferences, func(o metav1.OwnerReference) bool {
		return o.Kind == "DaemonSet" && o.Controller != nil && *o.Controller
	})
}

// drainStart is when this process began to drain the node: a restart gives the pods more time, which does no harm.
func (m *Manager) drainStart(cluster, node string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := cluster + "/" + node
	if _, ok := m.drains[key]; !ok {
		m.drains[key] = m.now()
	}
	return m.drains[key]
}

func (m *Manager) forgetDrain(cluster, node string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.drains, cluster+"/"+node)
}

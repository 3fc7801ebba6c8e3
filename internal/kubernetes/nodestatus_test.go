package kubernetes

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"cloister.dev/cloister/internal/spec"
)

func TestNodeStatus(t *testing.T) {
	node := func(conditions ...corev1.NodeCondition) *corev1.Node {
		return &corev1.Node{Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.37.1"}, Conditions: conditions}}
	}
	started := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	running := &spec.WorkloadStatus{Phase: spec.PhaseRunning, StartedAt: started}
	heard, before := metav1.NewTime(started), metav1.NewTime(started.Add(-time.Second))
	for name, c := range map[string]struct {
		node     *corev1.Node
		workload *spec.WorkloadStatus
		want     spec.NodeStatus
	}{
		"nothing yet":    {nil, nil, spec.NodeStatus{Message: "waits for its container"}},
		"failed":         {nil, &spec.WorkloadStatus{Phase: spec.PhaseFailed, Message: "no image"}, spec.NodeStatus{Message: "its container is Failed: no image"}},
		"not registered": {nil, running, spec.NodeStatus{Message: "runs and has not registered yet"}},
		"no condition":   {node(), running, spec.NodeStatus{Registered: true, Version: "v1.37.1", Message: "has not reported its condition yet"}},
		"not ready": {
			node(corev1.NodeCondition{Type: corev1.NodeReady, LastHeartbeatTime: heard, Status: corev1.ConditionFalse, Reason: "KubeletNotReady", Message: "no network"}),
			running, spec.NodeStatus{Registered: true, Version: "v1.37.1", Message: "KubeletNotReady: no network"},
		},
		"unknown": {
			node(corev1.NodeCondition{Type: corev1.NodeReady, LastHeartbeatTime: heard, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown"}),
			running, spec.NodeStatus{Registered: true, Version: "v1.37.1", Message: "NodeStatusUnknown"},
		},
		"container ended": {
			node(corev1.NodeCondition{Type: corev1.NodeReady, LastHeartbeatTime: heard, Status: corev1.ConditionTrue}),
			&spec.WorkloadStatus{Phase: spec.PhaseExited}, spec.NodeStatus{Registered: true, Version: "v1.37.1", Message: "its container is Exited"},
		},
		"was ready": {
			node(corev1.NodeCondition{Type: corev1.NodeReady, LastHeartbeatTime: before, Status: corev1.ConditionTrue}),
			running, spec.NodeStatus{Registered: true, Version: "v1.37.1", Message: "has not reported since its container started"},
		},
		"ready": {
			node(corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse}, corev1.NodeCondition{Type: corev1.NodeReady, LastHeartbeatTime: heard, Status: corev1.ConditionTrue, Message: "posting"}),
			running, spec.NodeStatus{Registered: true, Ready: true, Version: "v1.37.1"},
		},
	} {
		if got := nodeStatus(c.node, c.workload); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestHolds(t *testing.T) {
	want := map[string]string{"agentpool": "a", "kubernetes.io/role": "agent"}
	owned := func(raw string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{"agentpool": "a", "kubernetes.io/role": "agent", "other": "x"},
			ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "kubelet", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{"f:other":{}}}}`)},
				{Manager: fieldManager, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(raw)},
			},
		}}
	}
	exact := owned(`{"f:metadata":{"f:labels":{"f:agentpool":{},"f:kubernetes.io/role":{}}}}`)
	if !holds(exact, want) {
		t.Error("the node has what it should have")
	}
	if holds(owned(`{"f:metadata":{"f:labels":{"f:agentpool":{},"f:kubernetes.io/role":{},"f:other":{}}}}`), want) {
		t.Error("a label that is no longer wanted is still owned")
	}
	if holds(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: want}}, want) {
		t.Error("the labels are somebody else's")
	}
	exact.Labels["agentpool"] = "b"
	if holds(exact, want) {
		t.Error("a label has another value")
	}
}

func TestEvictable(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		pod  corev1.Pod
		want bool
	}{
		"plain":     {corev1.Pod{}, true},
		"succeeded": {corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}, false},
		"leaving":   {corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}}, Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}, true},
		"failed":    {corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed}}, false},
		"mirror":    {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"}}}, false},
		"daemon":    {corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Controller: &yes}}}}, false},
		"replica":   {corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Controller: &yes}}}}, true},
	} {
		if got := evictable(&c.pod); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

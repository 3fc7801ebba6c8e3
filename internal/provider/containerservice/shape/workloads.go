package shape

import "strings"

// Names of the workloads that internal/kubernetes makes. They are looked at when a cluster goes away:
// interfaces and addresses are taken back when nothing uses them any more.

// NodeWorkload is the name of a node's workload, and of its sandbox.
func NodeWorkload(cluster, node string) string { return "node-" + cluster + "-" + node }

// ControlPlaneWorkloads are the names of a control plane's workloads.
func ControlPlaneWorkloads(cluster string) []string {
	return []string{"cp-" + cluster, "etcd-" + cluster}
}

// clusterOfWorkload is the cluster that a workload belongs to; empty if to none.
func clusterOfWorkload(name string) string {
	kind, rest, _ := strings.Cut(name, "-")
	switch kind {
	case "node", "cp", "etcd":
		cluster, _, _ := strings.Cut(rest, "-")
		return cluster
	}
	return ""
}

// Package kubernetes turns the specs of clusters and nodes into certificates,
// workloads and add-ons, and reports how they do.
//
// A control plane is two workloads in one sandbox: etcd, and the API server,
// controller manager and scheduler as one process. A node is one workload,
// whose init supervises containerd, kubelet and kube-proxy. Neither waits for
// the other: a node starts while its control plane does.
package kubernetes

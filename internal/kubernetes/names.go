package kubernetes

import (
	"context"
	"path"
	"strings"

	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// Kinds of secret documents. The store's key is spec.SecretKey(kind, name).
const (
	secretCluster = "cluster"     // spec.ClusterSecrets, for the resource provider
	secretPKI     = "cluster-pki" // pki.Cluster
	secretNode    = "node-pki"    // pki.Node, by cluster and node
)

// Beginnings of workloads' names.
const (
	nodeWorkloadPrefix = "node-"
	controlPlanePrefix = "cp-"
)

// SandboxName is the network namespace of a cluster's control plane.
func SandboxName(cluster string) string { return "cp-" + cluster }

func etcdWorkload(cluster string) string         { return "etcd-" + cluster }
func controlPlaneWorkload(cluster string) string { return controlPlanePrefix + cluster }
func nodeWorkload(cluster, node string) string   { return nodeWorkloadPrefix + cluster + "-" + node }

func clusterSecretKey(cluster string) string    { return spec.SecretKey(secretCluster, cluster) }
func pkiSecretKey(cluster string) string        { return spec.SecretKey(secretPKI, cluster) }
func nodeSecretKey(cluster, node string) string { return spec.SecretKey(secretNode, cluster+"/"+node) }

// liveFile is a file whose content is a field of the secret document at key, and changes with it.
func liveFile(key, field string) spec.File {
	return spec.File{Secret: strings.TrimPrefix(key, spec.SecretPrefix), Field: field, Live: true}
}

// nodeOfWorkload maps a node's workload to the node. Names of clusters hold no dash.
func nodeOfWorkload(_ context.Context, e store.Event) []string {
	name, ok := strings.CutPrefix(path.Base(e.Key), nodeWorkloadPrefix)
	cluster, node, found := strings.Cut(name, "-")
	if !ok || !found {
		return nil
	}
	return []string{spec.NodeKey(cluster, node)}
}

// clusterOfWorkload maps a control plane's workload to the cluster.
func clusterOfWorkload(_ context.Context, e store.Event) []string {
	return []string{spec.ClusterKey(strings.TrimPrefix(path.Base(e.Key), controlPlanePrefix))}
}

// nodesOfCluster maps a document with a cluster's name to the cluster's nodes.
func (m *Manager) nodesOfCluster(ctx context.Context, e store.Event) []string {
	docs, _, err := m.Store.List(ctx, spec.NodePrefix+path.Base(e.Key)+"/")
	if err != nil {
		m.Log.WarnContext(ctx, "list the nodes of a cluster", "key", e.Key, "error", err)
		return nil // the resync comes
	}
	keys := make([]string, 0, len(docs))
	for _, d := range docs {
		keys = append(keys, d.Key)
	}
	return keys
}

package kubernetes

import "cloister.dev/cloister/internal/spec"

// Kinds of secret documents. The store's key is spec.SecretKey(kind, name).
const (
	secretCluster = "cluster"     // spec.ClusterSecrets, for the resource provider
	secretPKI     = "cluster-pki" // pki.Cluster
	secretNode    = "node-pki"    // pki.Node, by cluster and node
)

// SandboxName is the network namespace of a cluster's control plane.
func SandboxName(cluster string) string { return "cp-" + cluster }

func etcdWorkload(cluster string) string         { return "etcd-" + cluster }
func controlPlaneWorkload(cluster string) string { return "cp-" + cluster }
func nodeWorkload(cluster, node string) string   { return "node-" + cluster + "-" + node }

func clusterSecretKey(cluster string) string    { return spec.SecretKey(secretCluster, cluster) }
func pkiSecretKey(cluster string) string        { return spec.SecretKey(secretPKI, cluster) }
func nodeSecretKey(cluster, node string) string { return spec.SecretKey(secretNode, cluster+"/"+node) }

// file is a file whose content is a field of the secret document at key.
func file(key, field string) spec.File {
	return spec.File{Secret: key[len(spec.SecretPrefix):], Field: field}
}

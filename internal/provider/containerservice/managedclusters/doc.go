// Package managedclusters is Microsoft.ContainerService/managedClusters:
// private Kubernetes clusters. It admits them, makes what belongs to them in the
// node resource group, and writes the specs of which the cluster's machines are made.
package managedclusters

// Package agentpools is Microsoft.ContainerService/managedClusters/agentPools:
// groups of like nodes. A pool is a document of its own; the cluster shows its
// pools in agentPoolProfiles and takes changes there, too.
package agentpools

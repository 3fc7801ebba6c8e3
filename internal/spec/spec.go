// Package spec holds what resource providers want of the machine and what the
// machine reports: plain data in the store. Providers write specs and read
// statuses; the engine, the fabric and internal/kubernetes do the opposite.
package spec

import "strings"

// Prefixes of the store's keys. A spec and its status have the same last part.
const (
	WorkloadPrefix = "/spec/workload/"
	NICPrefix      = "/spec/nic/"
	ServicePrefix  = "/spec/service/"
	EndpointPrefix = "/spec/endpoint/"
	ClusterPrefix  = "/spec/cluster/"
	NodePrefix     = "/spec/node/" // + cluster + "/" + node
	StatusPrefix   = "/status/"
	SecretPrefix   = "/secret/"
	SandboxPrefix  = "/status/sandbox/"
)

// WorkloadKey is the store's key of a workload's spec.
func WorkloadKey(name string) string { return WorkloadPrefix + name }

// NICKey is the store's key of a NIC's spec. Names are resource keys and hold slashes.
func NICKey(name string) string { return NICPrefix + strings.TrimPrefix(name, "/") }

// ServiceKey is the store's key of a service's spec.
func ServiceKey(name string) string { return ServicePrefix + name }

// EndpointKey is the store's key of an endpoint's spec.
func EndpointKey(name string) string { return EndpointPrefix + strings.TrimPrefix(name, "/") }

// ClusterKey is the store's key of a cluster's spec.
func ClusterKey(name string) string { return ClusterPrefix + name }

// NodeKey is the store's key of a node's spec.
func NodeKey(cluster, node string) string { return NodePrefix + cluster + "/" + node }

// StatusKey is where the status of a spec is: /spec/x becomes /status/x.
func StatusKey(specKey string) string { return StatusPrefix + strings.TrimPrefix(specKey, "/spec/") }

// SpecKey is the reverse of StatusKey.
func SpecKey(statusKey string) string { return "/spec/" + strings.TrimPrefix(statusKey, StatusPrefix) }

// SandboxKey is where a sandbox's status is.
func SandboxKey(name string) string { return SandboxPrefix + name }

// SecretKey is the store's key of a secret document.
func SecretKey(kind, name string) string { return SecretPrefix + kind + "/" + name }

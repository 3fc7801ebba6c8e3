package shape

import (
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/resourceid"
)

// Pool is an agent pool's document.
type Pool struct {
	*arm.Resource
	Props Doc
}

// PoolOf reads an admitted pool.
func PoolOf(r *arm.Resource) Pool { return Pool{Resource: r, Props: r.Properties()} }

// ClusterID is the id of the pool's cluster.
func (p Pool) ClusterID() string { return p.ParsedID().Parent().String() }

// Count is the number of nodes wanted.
func (p Pool) Count() int { return p.Props.Int("count") }

// What clusters take of the machine's disk when they are new: a control plane's etcd, with its log written
// ahead, and a node's images.
const (
	ControlPlaneSpace = 256 << 20
	NodeSpace         = 400 << 20
)

// MaxPods is the number of pods that each node has addresses for.
func (p Pool) MaxPods() int { return p.Props.Int("maxPods") }

// System tells whether the pool is for the cluster's own pods.
func (p Pool) System() bool { return strings.EqualFold(p.Props.Str("mode"), "System") }

// SubnetID is where the pool's nodes are.
func (p Pool) SubnetID(c Cluster) string {
	if s := p.Props.Str("vnetSubnetID"); s != "" {
		return s
	}
	return c.Subnet
}

// PoolID is the id of a cluster's pool.
func PoolID(cluster resourceid.ID, name string) string {
	return cluster.Child("agentPools", name).String()
}

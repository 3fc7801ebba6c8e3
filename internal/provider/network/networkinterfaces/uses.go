package networkinterfaces

import (
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/provider/network/loadbalancers"
)

// use is a resource that an interface refers to, and as whom.
type use struct{ id, user string }

// uses is everything that an interface refers to.
type uses struct {
	subnet string
	refs   []use
}

func (u uses) has(one use) bool {
	for _, r := range u.refs {
		if kit.SameID(r.id, one.id) && strings.EqualFold(r.user, one.user) {
			return true
		}
	}
	return false
}

func usesOf(r *arm.Resource) uses {
	props := kit.Props(r)
	var out uses
	if id := props.ID("networkSecurityGroup"); id != "" {
		out.refs = append(out.refs, use{id, r.ID})
	}
	for _, c := range props.Docs("ipConfigurations") {
		p, id := c.Doc("properties"), configID(r, c)
		if s := p.ID("subnet"); s != "" && out.subnet == "" {
			out.subnet = s
		}
		if public := p.ID("publicIPAddress"); public != "" {
			out.refs = append(out.refs, use{public, id})
		}
		for _, pool := range p.Docs("loadBalancerBackendAddressPools") {
			if lb := balancerOf(pool.Str("id")); lb != "" {
				out.refs = append(out.refs, use{lb, loadbalancers.PoolUser(id, pool.Str("id"))})
			}
		}
	}
	return out
}

func configID(r *arm.Resource, c kit.Doc) string { return r.ID + "/ipConfigurations/" + c.Str("name") }

// balancerOf is the id of the load balancer that a backend pool belongs to; "" if it is no id of a pool.
func balancerOf(pool string) string {
	lower := strings.ToLower(pool)
	if i := strings.LastIndex(lower, "/backendaddresspools/"); i > 0 && strings.Contains(lower[:i], "/loadbalancers/") {
		return pool[:i]
	}
	return ""
}

package kit

import (
	"context"
	"net/netip"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/resourceid"
)

type pool struct {
	*ipam.Pool
	changed bool
}

// publicPool names the pool that belongs to no subnet.
const publicPool = "pool/public"

// publicReserved are the pool's own addresses: the network's, the edge, the ARM endpoint and the public DNS server.
const publicReserved = 4

// Subnet is the pool of a subnet's addresses; its owners are ids of IP configurations, or names of NICs.
// The result counts as changed when the caller says so with Took.
func (l *Links) Subnet(ctx context.Context, subnet *arm.Resource) (*ipam.Pool, error) {
	prefixes := Prefixes(Props(subnet))
	if len(prefixes) == 0 {
		return nil, arm.BadRequest("InvalidResourceReference", "The subnet %s has no address prefix.", subnet.ID)
	}
	return l.pool(ctx, subnet.ParsedID().Key(), prefixes[0], SubnetReserved)
}

// Public is the pool of public addresses.
func (l *Links) Public(ctx context.Context, c config.Config) (*ipam.Pool, error) {
	return l.pool(ctx, publicPool, c.PublicPool, publicReserved)
}

func (l *Links) pool(ctx context.Context, name string, prefix netip.Prefix, skip int) (*ipam.Pool, error) {
	if p := l.pools[name]; p != nil {
		return p.Pool, nil
	}
	p, err := ipam.Load(ctx, l.read.Store, name, prefix, skip)
	if err == nil {
		l.pools[name] = &pool{Pool: p}
	}
	return p, err
}

// Took has the pool written with the transaction: addresses of it were taken, given
// back, or the transaction must fail if somebody takes one meanwhile.
func (l *Links) Took(p *ipam.Pool) {
	for _, mine := range l.pools {
		if mine.Pool == p {
			mine.changed = true
		}
	}
}

// SubnetUsers lists who has addresses of a subnet, sorted: ids, or names of what is no resource.
func SubnetUsers(p *ipam.Pool) []string {
	seen := map[string]bool{}
	for _, owner := range p.Used {
		seen[userID(owner)] = true
	}
	return sortedKeys(seen)
}

// UserIDs keeps of a subnet's users those that are ids.
func UserIDs(users []string) []string {
	var out []string
	for _, u := range users {
		if strings.HasPrefix(strings.ToLower(u), "/subscriptions/") {
			out = append(out, u)
		}
	}
	return out
}

// instance matches the name of the interface of a scale set's instance: <scale set>/<number>/nic.
var instance = regexp.MustCompile(`^(/.+/virtualmachinescalesets/([^/]+))/(\d+)/nic$`)

// userID is an address's owner as people know it.
func userID(owner string) string {
	if m := instance.FindStringSubmatch(owner); m != nil {
		return m[1] + "/virtualMachines/" + m[3] + "/networkInterfaces/" + m[2] + "/ipConfigurations/ipconfig1"
	}
	if session, ok := strings.CutPrefix(owner, "session/"); ok {
		return "`cloister run` (session " + session + ")"
	}
	return owner
}

// ReleaseBelow frees every address of the IP configurations of a network interface.
func ReleaseBelow(p *ipam.Pool, nic string) {
	prefix := strings.ToLower(nic) + "/"
	for a, owner := range p.Used {
		if strings.HasPrefix(strings.ToLower(owner), prefix) {
			delete(p.Used, a)
		}
	}
}

// NetworkOf is the key of the virtual network that a subnet's id is in.
func NetworkOf(subnet string) string { return resourceid.MustParse(subnet).Parent().Key() }

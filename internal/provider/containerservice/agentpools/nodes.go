package agentpools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sort"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// State is how far a pool's nodes are.
type State struct {
	Wanted, Ready int
	Done          bool
	Note          string // what is waited for
}

// node is a node's spec and status as they were read.
type node struct {
	spec.Node
	rev    int64
	status spec.NodeStatus
}

// batch is how many nodes are written in one transaction: etcd takes 128 changes.
const batch = 20

// Reconcile brings a pool's nodes to where its document wants them: it takes addresses, writes interfaces and nodes,
// changes what differs, and drains and removes those that are too many. It can be called at any time and again.
func Reconcile(ctx context.Context, d shape.Deps, c shape.Cluster, p shape.Pool) (State, error) {
	n, note, err := readNetwork(ctx, d, c, p)
	if err != nil || note != "" {
		return State{Wanted: p.Count(), Note: note}, err
	}
	if err := ensureScaleSet(ctx, d, c, p); err != nil {
		return State{}, err
	}
	nodes, err := list(ctx, d.Store, c.Names.Cluster, p.Name)
	if err != nil {
		return State{}, err
	}
	if err := create(ctx, d, c, p, n, nodes); err != nil {
		return State{}, err
	}
	controlPlane, err := controlPlaneVersion(ctx, d, c)
	if err != nil {
		return State{}, err
	}
	if err := change(ctx, d, c, p, n, nodes, controlPlane); err != nil {
		return State{}, err
	}
	forgotten, err := remove(ctx, d, c, p, n, nodes)
	if err != nil {
		return State{}, err
	}
	if forgotten > 0 { // a name that is wanted again has become free
		return Reconcile(ctx, d, c, p)
	}
	return state(ctx, d, c, p)
}

// readNetwork reads what nodes need of the network, or says what is waited for.
func readNetwork(ctx context.Context, d shape.Deps, c shape.Cluster, p shape.Pool) (network, string, error) {
	rs := d.Read()
	subnet, err := rs.Get(ctx, p.SubnetID(c))
	if arm.IsNotFound(err) {
		return network{}, "subnet", nil
	}
	if err != nil {
		return network{}, "", err
	}
	if subnet.Deleting {
		return network{}, "subnet", nil
	}
	prefix, err := SubnetPrefix(subnet)
	if err != nil {
		return network{}, "", arm.Terminal(arm.BadRequest("InvalidSubnet", "%v", err))
	}
	address, err := rs.Get(ctx, c.OutboundAddress())
	if err != nil && !arm.IsNotFound(err) {
		return network{}, "", err
	}
	n := network{subnet: subnet.ParsedID(), rev: subnet.Rev, prefix: prefix}
	if err == nil {
		n.outbound, _ = netip.ParseAddr(shape.Doc(address.Properties()).Str("ipAddress"))
	}
	if !n.outbound.IsValid() {
		return n, "outbound address", nil
	}
	return n, "", nil
}

func controlPlaneVersion(ctx context.Context, d shape.Deps, c shape.Cluster) (string, error) {
	var s spec.ClusterStatus
	_, err := d.Store.Get(ctx, spec.StatusKey(spec.ClusterKey(c.Names.Cluster)), &s)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return strings.TrimPrefix(s.Version, "v"), err
}

// list reads a pool's nodes, by name; all of the cluster's with an empty pool.
func list(ctx context.Context, r store.Reader, cluster, pool string) (map[string]*node, error) {
	docs, _, err := r.List(ctx, spec.NodeKey(cluster, ""))
	if err != nil {
		return nil, err
	}
	out := map[string]*node{}
	for _, doc := range docs {
		read, err := decode[spec.Node](doc)
		if err != nil {
			return nil, err
		}
		n := &node{Node: read, rev: doc.Rev}
		if pool != "" && !strings.EqualFold(n.Pool, pool) {
			continue
		}
		out[n.Name] = n
	}
	statuses, _, err := r.List(ctx, spec.StatusKey(spec.NodeKey(cluster, "")))
	if err != nil {
		return nil, err
	}
	for _, doc := range statuses {
		if n := out[doc.Key[strings.LastIndexByte(doc.Key, '/')+1:]]; n != nil {
			if n.status, err = decode[spec.NodeStatus](doc); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func decode[T any](doc store.Doc) (v T, err error) {
	if err := json.Unmarshal(doc.Value, &v); err != nil {
		return v, fmt.Errorf("document at %s: %w", doc.Key, err)
	}
	return v, nil
}

// create writes the missing nodes: specs, interfaces and addresses in one transaction, so that a crash leaves no address without its owner.
func create(ctx context.Context, d shape.Deps, c shape.Cluster, p shape.Pool, n network, have map[string]*node) error {
	var missing []spec.Node
	for i := range p.Count() {
		if w := wantedNode(c, p, n, i); have[w.Name] == nil {
			missing = append(missing, w)
		}
	}
	for some := range slices.Chunk(missing, batch) {
		addresses, err := ipam.Load(ctx, d.Store, n.subnet.Key(), n.prefix, Reserved)
		if err != nil {
			return err
		}
		tx := (&store.Tx{}).Expect(arm.Key(n.subnet.String()), n.rev) // nobody deletes the subnet meanwhile
		for _, w := range some {
			taken, err := addresses.Take(w.NIC, 1+w.MaxPods)
			if errors.Is(err, ipam.ErrFull) {
				return arm.Terminal(arm.BadRequest("InsufficientSubnetSize", "The subnet '%s' (%s) has too few free addresses for node '%s': it takes one, and one for each of %d pods. Others have taken them meanwhile. Take a larger subnet, fewer nodes or a smaller --max-pods.", n.subnet.Name(), n.prefix, w.Name, w.MaxPods))
			}
			if err != nil {
				return err
			}
			w.Address, w.PodIPs = taken[0], taken[1:]
			tx.Create(spec.NICKey(w.NIC), wantedNIC(c, p, n, w, taken)).Create(spec.NodeKey(w.Cluster, w.Name), w)
		}
		addresses.Save(tx)
		if _, err := d.Store.Commit(ctx, tx); err != nil {
			return fmt.Errorf("nodes of pool %s: %w", p.Name, err)
		}
	}
	return nil
}

// change brings the specs of nodes that are there up to date. A new version of Kubernetes
// waits for the control plane, and goes to one node after the other.
func change(ctx context.Context, d shape.Deps, c shape.Cluster, p shape.Pool, n network, have map[string]*node, controlPlane string) error {
	busy := false
	for _, h := range have {
		busy = busy || !h.Removing && !c.Stopped() && !h.settled()
	}
	for i := range p.Count() {
		w := wantedNode(c, p, n, i)
		h := have[w.Name]
		if h == nil || h.Removing {
			continue
		}
		w.Address, w.PodIPs, w.SubnetCIDR, w.MaxPods, w.Register = h.Address, h.PodIPs, h.SubnetCIDR, h.MaxPods, h.Register
		if w.Version != h.Version {
			if busy || shape.Compare(controlPlane, w.Version) < 0 {
				w.Version = h.Version
			}
			busy = true
		}
		if equal(w, h.Node) {
			continue
		}
		tx := (&store.Tx{}).Update(spec.NodeKey(w.Cluster, w.Name), h.rev, w)
		if _, err := d.Store.Commit(ctx, tx); err != nil {
			return fmt.Errorf("node %s: %w", w.Name, err)
		}
	}
	return nil
}

func equal(a, b spec.Node) bool {
	if len(a.Taints) == 0 && len(b.Taints) == 0 {
		a.Taints, b.Taints = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// settled tells whether the node runs as its spec wants it.
func (n *node) settled() bool {
	v := strings.TrimPrefix(n.status.Version, "v")
	return n.status.Ready && (v == "" || v == n.Version)
}

// remove drains the nodes that are too many, and takes those away that are drained.
func remove(ctx context.Context, d shape.Deps, c shape.Cluster, p shape.Pool, n network, have map[string]*node) (forgotten int, err error) {
	wanted := map[string]bool{}
	for i := range p.Count() {
		wanted[shape.InstanceName(c.ScaleSetName(p.Name), i)] = true
	}
	var gone []*node
	for name, h := range have {
		switch {
		case h.Removing && h.status.Removed:
			gone = append(gone, h)
		case !wanted[name] && !h.Removing:
			h.Removing = true
			tx := (&store.Tx{}).Update(spec.NodeKey(h.Cluster, name), h.rev, h.Node)
			if _, err := d.Store.Commit(ctx, tx); err != nil {
				return 0, fmt.Errorf("node %s: %w", name, err)
			}
		}
	}
	return len(gone), forget(ctx, d.Store, n.subnet, n.prefix, gone)
}

// forget takes nodes out of the store: specs, statuses, interfaces and addresses, all of one subnet.
func forget(ctx context.Context, s store.Store, subnet resourceid.ID, prefix netip.Prefix, nodes []*node) error {
	sort.Slice(nodes, func(i, j int) bool { return nodes[i].Name < nodes[j].Name })
	for some := range slices.Chunk(nodes, batch) {
		addresses, err := ipam.Load(ctx, s, subnet.Key(), prefix, Reserved)
		if err != nil {
			return err
		}
		tx := &store.Tx{}
		for _, h := range some {
			addresses.Release(h.NIC)
			tx.Delete(spec.NICKey(h.NIC)).Delete(spec.NodeKey(h.Cluster, h.Name)).Delete(spec.StatusKey(spec.NodeKey(h.Cluster, h.Name)))
		}
		addresses.Save(tx)
		if _, err := s.Commit(ctx, tx); err != nil {
			return fmt.Errorf("addresses of removed nodes: %w", err)
		}
	}
	return nil
}

// state reads the nodes again and tells how far they are.
func state(ctx context.Context, d shape.Deps, c shape.Cluster, p shape.Pool) (State, error) {
	nodes, err := list(ctx, d.Store, c.Names.Cluster, p.Name)
	if err != nil {
		return State{}, err
	}
	s := State{Wanted: p.Count()}
	version := p.Props.Str("currentOrchestratorVersion")
	var waiting []string
	for name, h := range nodes {
		switch {
		case h.Removing:
			waiting = append(waiting, name+" (leaves)")
		case c.Stopped() && h.status.Stopped:
			s.Ready++
		case !c.Stopped() && h.settled() && h.Version == version && h.status.CertificateGeneration == c.Generation():
			s.Ready++
		case h.status.Message != "":
			waiting = append(waiting, name+": "+h.status.Message)
		default:
			waiting = append(waiting, name)
		}
	}
	sort.Strings(waiting)
	s.Done = s.Ready == s.Wanted && len(nodes) == s.Wanted
	if len(waiting) > 0 {
		s.Note = fmt.Sprintf("%d of %d nodes of %s ready; %s", s.Ready, s.Wanted, p.Name, waiting[0])
	}
	return s, nil
}

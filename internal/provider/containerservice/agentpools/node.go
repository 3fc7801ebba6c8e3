package agentpools

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"cloister.dev/cloister/internal/provider/compute/sizes"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
)

// network is what a pool's nodes have in common of the network.
type network struct {
	subnet   resourceid.ID
	rev      int64 // of the subnet's document
	prefix   netip.Prefix
	outbound netip.Addr // public address of outbound connections
}

// nicName is the name of an instance's interface, and the owner of its addresses.
func nicName(scaleSet string, instance int) string {
	return resourceid.MustParse(scaleSet).Key() + "/" + strconv.Itoa(instance) + "/nic"
}

// wantedNode is the node with this number, without addresses.
func wantedNode(c shape.Cluster, p shape.Pool, n network, instance int) spec.Node {
	size, _ := sizes.Lookup(p.Props.Str("vmSize")) // checked at admission
	scaleSet := c.ScaleSet(p.Name)
	name := shape.InstanceName(c.ScaleSetName(p.Name), instance)
	taints, all := p.Props.Strings("nodeTaints"), labels(c, p, size.Name)
	return spec.Node{
		Name: name, Cluster: c.Names.Cluster, Pool: p.Name, Version: p.Props.Str("currentOrchestratorVersion"),
		NIC: nicName(scaleSet, instance), Sandbox: shape.NodeWorkload(c.Names.Cluster, name),
		SubnetCIDR: n.prefix, MaxPods: p.MaxPods(), MilliCPU: size.MilliCPU(), MemoryBytes: size.MemoryBytes(),
		Labels: all, Taints: taints, Register: spec.Registration{Labels: all, Taints: taints},
		ProviderID: "azure://" + strings.Replace(scaleSet, "/resourceGroups/"+c.NodeGroup().ResourceGroup(), "/resourceGroups/"+strings.ToLower(c.NodeGroup().ResourceGroup()), 1) +
			"/virtualMachines/" + strconv.Itoa(instance),
		Stopped: c.Stopped(),
	}
}

// labels are those of AKS: https://learn.microsoft.com/azure/aks/use-labels
func labels(c shape.Cluster, p shape.Pool, size string) map[string]string {
	out := map[string]string{}
	for k, v := range p.Props.Doc("nodeLabels") {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	image := "cloister-node-v" + p.Props.Str("currentOrchestratorVersion")
	for k, v := range map[string]string{
		"agentpool": p.Name, "kubernetes.azure.com/agentpool": p.Name, "kubernetes.azure.com/cluster": c.NodeGroup().ResourceGroup(),
		"kubernetes.azure.com/mode": strings.ToLower(p.Props.Str("mode")), "kubernetes.azure.com/role": "agent", "kubernetes.azure.com/node-image-version": image,
		"kubernetes.azure.com/os-sku": p.Props.Str("osSKU"), "kubernetes.azure.com/storageprofile": "managed", "kubernetes.io/role": "agent",
		"topology.kubernetes.io/region": c.Region(), "topology.kubernetes.io/zone": "0", "failure-domain.beta.kubernetes.io/region": c.Region(), "failure-domain.beta.kubernetes.io/zone": "0",
		"node.kubernetes.io/instance-type": size, "beta.kubernetes.io/instance-type": size,
	} {
		out[k] = v
	}
	return out
}

// wantedNIC is the node's interface. addresses are its own, and those of its pods.
func wantedNIC(c shape.Cluster, p shape.Pool, n network, node spec.Node, addresses []netip.Addr) spec.NIC {
	return spec.NIC{
		Name: node.NIC, Owner: c.ScaleSet(p.Name), Network: n.subnet.Parent().Key(), Subnet: n.subnet.Key(),
		Sandbox: node.Sandbox, Interface: "eth0", MAC: mac(node.NIC),
		Address: addresses[0], Secondary: addresses[1:],
		SecurityGroup: resourceid.MustParse(c.SecurityGroup()).Key(), Outbound: n.outbound,
	}
}

// mac is an address of the interface's own: it follows from the name, so that a crash changes nothing.
func mac(name string) string {
	h := sha256.Sum256([]byte(name))
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", h[0], h[1], h[2], h[3], h[4])
}

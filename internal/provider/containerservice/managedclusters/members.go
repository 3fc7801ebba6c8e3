package managedclusters

import (
	"net/netip"
	"strings"

	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
)

// member is a resource that belongs to the cluster, as it must be.
type member struct {
	id   string
	body map[string]any
}

// members lists what the cluster is made of, in stages: what stands in one stage needs
// nothing but the stages before, and is made at once. address is that of a private endpoint which
// is to be made anew; the zero one leaves the choice to the subnet.
func members(c shape.Cluster, address netip.Addr) [][]member {
	first := []member{identityMember(c), groupMember(c), addressMember(c)}
	second := []member{endpointMember(c, address), balancerMember(c)}
	if c.ManagedNetwork {
		first = append(first, networkMember(c))
	}
	if c.OwnsZone() {
		first = append(first, member{c.PrivateZone(), map[string]any{"location": "global", "properties": map[string]any{}}})
	}
	if zone := c.PrivateZone(); zone != "" {
		second = append(second, linkMember(c, zone))
	}
	return [][]member{{nodeGroupMember(c)}, first, second}
}

func nodeGroupMember(c shape.Cluster) member {
	tags := map[string]any{}
	if t, ok := shape.Clone(c.Body["tags"]).(map[string]any); ok {
		tags = t // AKS gives the cluster's tags to the group
	}
	for k, v := range managedTags(c) {
		tags[k] = v
	}
	return member{c.NodeGroup().String(), map[string]any{"location": c.Location(), "tags": tags}}
}

// managedTags tell whose a resource is, as AKS's do.
func managedTags(c shape.Cluster) map[string]any {
	return map[string]any{"aks-managed-cluster-name": c.ParsedID().Name(), "aks-managed-cluster-rg": c.ParsedID().ResourceGroup()}
}

func identityMember(c shape.Cluster) member {
	return member{c.KubeletIdentity(), map[string]any{"location": c.Location()}}
}

func groupMember(c shape.Cluster) member {
	return member{c.SecurityGroup(), map[string]any{"location": c.Location(), "properties": map[string]any{"securityRules": []any{}}}}
}

func addressMember(c shape.Cluster) member {
	tags := managedTags(c)
	tags["aks-managed-type"] = "aks-slb-managed-outbound-ip"
	return member{c.OutboundAddress(), map[string]any{
		"location": c.Location(), "tags": tags, "sku": map[string]any{"name": "Standard", "tier": "Regional"},
		"properties": map[string]any{"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4", "idleTimeoutInMinutes": 30},
	}}
}

// networkMember is the network of a cluster whose pools name no subnet.
func networkMember(c shape.Cluster) member {
	subnet := resourceid.MustParse(c.Subnet)
	return member{c.Network(), map[string]any{"location": c.Location(), "properties": map[string]any{
		"addressSpace": map[string]any{"addressPrefixes": []any{ManagedPrefix}},
		"subnets":      []any{map[string]any{"name": subnet.Name(), "properties": map[string]any{"addressPrefix": ManagedSubnetPrefix}}},
	}}}
}

// endpointMember is the private endpoint, which AKS makes in its name and which leads to the cluster itself.
func endpointMember(c shape.Cluster, address netip.Addr) member {
	props := map[string]any{
		"subnet": map[string]any{"id": c.Subnet}, "customNetworkInterfaceName": c.EndpointInterface(),
		"privateLinkServiceConnections": []any{map[string]any{"name": "kube-apiserver", "properties": map[string]any{
			"privateLinkServiceId": c.ID, "groupIds": []any{"management"},
		}}},
	}
	if address.IsValid() {
		props["ipConfigurations"] = []any{map[string]any{"name": "kube-apiserver", "properties": map[string]any{
			"groupId": "management", "memberName": "management", "privateIPAddress": address.String(),
		}}}
	}
	return member{c.Endpoint(), map[string]any{"location": c.Location(), "properties": props}}
}

// balancerMember is the load balancer by which nodes' connections leave.
func balancerMember(c shape.Cluster) member {
	id := c.LoadBalancer()
	front := map[string]any{"id": id + "/frontendIPConfigurations/" + c.OutboundIP}
	pool := "aksOutboundBackendPool"
	return member{id, map[string]any{
		"location": c.Location(), "tags": managedTags(c), "sku": map[string]any{"name": "Standard", "tier": "Regional"},
		"properties": map[string]any{
			"frontendIPConfigurations": []any{map[string]any{"name": c.OutboundIP, "properties": map[string]any{
				"publicIPAddress": map[string]any{"id": c.OutboundAddress()},
			}}},
			"backendAddressPools": []any{map[string]any{"name": pool}, map[string]any{"name": "kubernetes"}},
			"outboundRules": []any{map[string]any{"name": "aksOutboundRule", "properties": map[string]any{
				"frontendIPConfigurations": []any{front}, "backendAddressPool": map[string]any{"id": id + "/backendAddressPools/" + pool},
				"protocol": "All", "allocatedOutboundPorts": 0, "idleTimeoutInMinutes": 30, "enableTcpReset": true,
			}}},
		},
	}}
}

// linkMember lets the nodes' network resolve the names of the zone.
func linkMember(c shape.Cluster, zone string) member {
	return member{linkID(c, zone), map[string]any{"location": "global", "properties": map[string]any{
		"virtualNetwork": map[string]any{"id": resourceid.MustParse(c.Subnet).Parent().String()}, "registrationEnabled": false,
	}}}
}

func linkID(c shape.Cluster, zone string) string {
	return resourceid.MustParse(zone).Child("virtualNetworkLinks", strings.ToLower(c.LinkName())).String()
}

// recordTTL is in seconds.
const recordTTL = 300

// recordMember is the API server's address record.
func recordMember(c shape.Cluster, zone, address string) member {
	return member{recordID(c, zone), map[string]any{"properties": map[string]any{
		"ttl": recordTTL, "aRecords": []any{map[string]any{"ipv4Address": address}},
	}}}
}

func recordID(c shape.Cluster, zone string) string {
	return resourceid.MustParse(zone).Child("A", strings.ToLower(c.RecordName())).String()
}

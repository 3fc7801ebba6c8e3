package networksecuritygroups

import "cloister.dev/cloister/internal/arm"

// defaults are the rules that every group ends with:
// https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#default-security-rules
var defaults = []struct {
	name, description, from, to, access, direction string
	priority                                       int
}{
	{"AllowVnetInBound", "Allow inbound traffic from all VMs in VNET", "VirtualNetwork", "VirtualNetwork", "Allow", "Inbound", 65000},
	{"AllowAzureLoadBalancerInBound", "Allow inbound traffic from azure load balancer", "AzureLoadBalancer", "*", "Allow", "Inbound", 65001},
	{"DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", "Inbound", 65500},
	{"AllowVnetOutBound", "Allow outbound traffic from all VMs to all VMs in VNET", "VirtualNetwork", "VirtualNetwork", "Allow", "Outbound", 65000},
	{"AllowInternetOutBound", "Allow outbound traffic from all VMs to Internet", "*", "Internet", "Allow", "Outbound", 65001},
	{"DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", "Outbound", 65500},
}

func defaultRules(group *arm.Resource) []any {
	var out []any
	for _, d := range defaults {
		out = append(out, map[string]any{
			"id": group.ID + "/defaultSecurityRules/" + d.name, "name": d.name, "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules", "etag": group.ETag(),
			"properties": map[string]any{
				"provisioningState": arm.StateSucceeded, "description": d.description, "protocol": "*", "sourcePortRange": "*", "destinationPortRange": "*",
				"sourceAddressPrefix": d.from, "destinationAddressPrefix": d.to, "access": d.access, "priority": d.priority, "direction": d.direction,
				"sourcePortRanges": []any{}, "destinationPortRanges": []any{}, "sourceAddressPrefixes": []any{}, "destinationAddressPrefixes": []any{},
			},
		})
	}
	return out
}

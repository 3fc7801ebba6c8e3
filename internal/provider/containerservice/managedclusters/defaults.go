package managedclusters

import (
	"strings"

	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
)

// computed are the properties that clients send back as they got them, and that only Cloister knows.
var computed = []string{
	"provisioningState", "powerState", "fqdn", "privateFQDN", "azurePortalFQDN", "maxAgentPools", "currentKubernetesVersion", "privateLinkResources",
	"identityProfile", "resourceUID", "eTag", "status", "networkProfile.loadBalancerProfile.effectiveOutboundIPs", "networkProfile.podCidr", "networkProfile.podCidrs",
	"networkProfile.serviceCidrs", "apiServerAccessProfile.privateClusterVersion", "oidcIssuerProfile.issuerURL", "servicePrincipalProfile.secret",
}

// complete brings a cluster's document into the form that is stored: what the client left
// out or sent empty comes from old (nil on create), then from AKS's defaults.
func complete(id resourceid.ID, body, old map[string]any, versions shape.Versions) {
	props := shape.Doc(body["properties"].(map[string]any))
	for _, path := range computed {
		props.Remove(path)
	}
	for _, path := range []string{
		"kubernetesVersion", "nodeResourceGroup", "networkProfile.networkPlugin", "networkProfile.serviceCidr", "networkProfile.dnsServiceIP",
		"networkProfile.loadBalancerSku", "networkProfile.outboundType", "networkProfile.networkPolicy", "networkProfile.networkDataplane", "apiServerAccessProfile.privateDNSZone", "fqdnSubdomain",
	} {
		if props.At(path) == nil || props.Str(path) == "" {
			props.Remove(path)
		}
	}
	if old != nil {
		props.Keep(shape.Doc(old).Doc("properties"))
		for _, top := range []string{"identity", "sku", "kind", "location"} {
			if body[top] == nil && old[top] != nil {
				body[top] = shape.Clone(old[top])
			}
		}
	}
	props.Default("kubernetesVersion", versions.Default())
	props.Default("nodeResourceGroup", nodeGroupName(id, shape.Doc(body).Str("location")))
	props.Missing("enableRBAC", true)
	props.Missing("disableLocalAccounts", false)
	props.Missing("addonProfiles", map[string]any{})
	props.Default("supportPlan", "KubernetesOfficial")
	props.Missing("nodeProvisioningProfile", map[string]any{"mode": "Manual", "defaultNodePools": "Auto"})
	props.Missing("oidcIssuerProfile", map[string]any{"enabled": false})
	props.Missing("securityProfile", map[string]any{})
	props.Missing("storageProfile", map[string]any{})
	completeNetwork(props)
	completeAccess(props)
	if body["sku"] == nil || strings.EqualFold(shape.Doc(body).Str("sku.name"), "Basic") {
		shape.Doc(body).Set("sku.name", "Base") // its name until 2023
	}
	shape.Doc(body).Default("sku.tier", "Free")
	body["kind"] = "Base"
	if shape.Doc(body).Doc("identity").Str("type") != "" {
		props.Set("servicePrincipalProfile", map[string]any{"clientId": "msi"})
	}
}

func completeNetwork(props shape.Doc) {
	props.Default("networkProfile.networkPlugin", "azure")
	props.Default("networkProfile.networkPolicy", "none")
	props.Default("networkProfile.networkDataplane", "azure")
	props.Default("networkProfile.outboundType", "loadBalancer")
	props.Default("networkProfile.loadBalancerSku", "standard")
	props.Default("networkProfile.serviceCidr", "10.0.0.0/16")
	props.Default("networkProfile.dnsServiceIP", "10.0.0.10")
	props.Missing("networkProfile.ipFamilies", []any{"IPv4"})
	props.Missing("networkProfile.loadBalancerProfile.managedOutboundIPs", map[string]any{"count": 1})
	props.Default("networkProfile.loadBalancerProfile.backendPoolType", "nodeIPConfiguration")
	props.Set("networkProfile.serviceCidrs", []any{props.At("networkProfile.serviceCidr")})
	if s := props.Str("networkProfile.loadBalancerSku"); strings.EqualFold(s, "standard") {
		props.Set("networkProfile.loadBalancerSku", "standard")
	}
}

func completeAccess(props shape.Doc) {
	zone := props.Str("apiServerAccessProfile.privateDNSZone")
	switch {
	case zone == "", strings.EqualFold(zone, shape.ZoneSystem):
		props.Set("apiServerAccessProfile.privateDNSZone", shape.ZoneSystem)
	case strings.EqualFold(zone, shape.ZoneNone):
		props.Set("apiServerAccessProfile.privateDNSZone", shape.ZoneNone)
	}
	props.Missing("apiServerAccessProfile.enablePrivateClusterPublicFQDN", true)
	props.Set("apiServerAccessProfile.privateClusterVersion", "v1")
	if len(props.List("apiServerAccessProfile.authorizedIPRanges")) == 0 {
		props.Remove("apiServerAccessProfile.authorizedIPRanges")
	}
}

// longestGroup is the length that AKS cuts the name of a node resource group to.
// https://learn.microsoft.com/azure/aks/faq
const longestGroup = 80

func nodeGroupName(id resourceid.ID, location string) string {
	name := "MC_" + id.ResourceGroup() + "_" + id.Name() + "_" + shape.Region(location)
	if len(name) > longestGroup {
		name = strings.TrimRight(name[:longestGroup], ".")
	}
	return name
}

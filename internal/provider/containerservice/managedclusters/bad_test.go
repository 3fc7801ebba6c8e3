package managedclusters

import (
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
)

// TestBadInput has one mistake in each request, and the code and field that name it.
func TestBadInput(t *testing.T) {
	b := newBench(t)
	b.put(vnetID+"2", "westus2", map[string]any{})
	b.put(vnetID+"2/subnets/far", "", map[string]any{"addressPrefix": "10.250.0.0/24"})
	b.put(sub+"/resourceGroups/taken", "eastus", nil)
	const p, access, net = "properties.", "properties.apiServerAccessProfile.", "properties.networkProfile."
	cases := []struct{ name, edits, code, target, says string }{ // says "*": other complaints follow from the mistake
		{"public", access + "enablePrivateCluster=false", "FeatureNotSupported", access + "enablePrivateCluster", "--enable-private-cluster"},
		{"authorized ranges", access + `authorizedIPRanges=["1.2.3.4/32"]`, "InvalidParameter", access + "authorizedIPRanges", "private cluster"},
		{"vnet integration", access + "enableVnetIntegration=true", "FeatureNotSupported", access + "enableVnetIntegration", ""},
		{"none without public name", access + "privateDNSZone=\"none\";" + access + "enablePrivateClusterPublicFQDN=false", "InvalidParameter", access + "enablePrivateClusterPublicFQDN", "only one"},
		{"zone mode", access + `privateDNSZone="sometimes"`, "InvalidParameter", access + "privateDNSZone", "system, none"},
		{"zone of another region", access + `privateDNSZone="` + strings.Replace(zoneID, "eastus", "westus", 1) + `"`, "InvalidParameter", access + "privateDNSZone", "privatelink.eastus.azmk8s.io"},
		{"zone that is not there", access + `privateDNSZone="` + strings.Replace(zoneID, "privatelink", "sub.privatelink", 1) + `";identity={"type":"UserAssigned","userAssignedIdentities":{"` + umiID + `":{}}}`, "PrivateDNSZoneNotFound", access + "privateDNSZone", ""},
		{"own zone, system identity", access + `privateDNSZone="` + zoneID + `"`, "InvalidParameter", "identity.type", "user-assigned"},
		{"subdomain without zone", `properties.fqdnSubdomain="sub1";properties.dnsPrefix=null`, "InvalidParameter", p + "fqdnSubdomain", "--private-dns-zone"},
		{"prefix and subdomain", `properties.fqdnSubdomain="sub1"`, "InvalidParameter", p + "fqdnSubdomain", ""},
		{"no prefix", "properties.dnsPrefix=null", "InvalidParameter", p + "dnsPrefix", "missing"},
		{"bad prefix", `properties.dnsPrefix="a.b"`, "InvalidParameter", p + "dnsPrefix", ""},
		{"version", `properties.kubernetesVersion="1.14.8"`, "K8sVersionNotSupported", p + "kubernetesVersion", "1.37.1, 1.36.5"},
		{"pool version", `pool.orchestratorVersion="1.14.8"`, "AgentPoolK8sVersionNotSupported", "orchestratorVersion", "1.37.1, 1.36.5"},
		{"pool newer than cluster", `properties.kubernetesVersion="1.36.5";pool.orchestratorVersion="1.37.1"`, "NodePoolMcVersionIncompatible", "orchestratorVersion", "Upgrade the cluster first"},
		{"kubenet", net + `networkPlugin="kubenet"`, "FeatureNotSupported", net + "networkPlugin", "not offered yet"},
		{"own plugin", net + `networkPlugin="none"`, "FeatureNotSupported", net + "networkPlugin", "not offered yet"},
		{"unknown plugin", net + `networkPlugin="flannel"`, "InvalidParameter", net + "networkPlugin", "unknown"},
		{"overlay", net + `networkPluginMode="overlay"`, "FeatureNotSupported", net + "networkPluginMode", "not offered yet"},
		{"policy", net + `networkPolicy="calico"`, "FeatureNotSupported", net + "networkPolicy", ""},
		{"data plane", net + `networkDataplane="cilium"`, "FeatureNotSupported", net + "networkDataplane", ""},
		{"basic balancer", net + `loadBalancerSku="basic"`, "InvalidParameter", net + "loadBalancerSku", "standard"},
		{"routes of the customer", net + `outboundType="userDefinedRouting"`, "FeatureNotSupported", net + "outboundType", ""},
		{"IPv6", net + `ipFamilies=["IPv4","IPv6"]`, "FeatureNotSupported", net + "ipFamilies", ""},
		{"service CIDR in the subnet", net + `serviceCidr="10.240.0.0/26";` + net + `dnsServiceIP="10.240.0.10"`, "ServiceCidrOverlapExistingSubnetsCidr", net + "serviceCidr", "10.240.0.0/24"},
		{"DNS service outside", net + `dnsServiceIP="10.3.0.10"`, "DnsServiceIpOutOfServiceCidr", net + "dnsServiceIP", "10.2.0.0/24"},
		{"DNS service first", net + `dnsServiceIP="10.2.0.1"`, "InvalidDnsServiceIP", net + "dnsServiceIP", ""},
		{"DNS service no address", net + `dnsServiceIP="ten"`, "InvalidDnsServiceIP", net + "dnsServiceIP", ""},
		{"service CIDR no prefix", net + `serviceCidr="10.2.0.0"`, "InvalidServiceCidr", net + "serviceCidr", ""},
		{"service CIDR unaligned", net + `serviceCidr="10.2.0.10/24"`, "InvalidServiceCidr", net + "serviceCidr", "10.2.0.0/24"},
		{"VM size", `pool.vmSize="Standard_Huge"`, "VMSizeNotSupported", "vmSize", "Standard_DS2_v2"},
		{"zones", `pool.availabilityZones=["1"]`, "AvailabilityZoneNotSupported", "availabilityZones", ""},
		{"windows", `pool.osType="Windows"`, "FeatureNotSupported", "osType", ""},
		{"autoscaler", `pool.enableAutoScaling=true`, "FeatureNotSupported", "enableAutoScaling", ""},
		{"spot", `pool.scaleSetPriority="Spot"`, "FeatureNotSupported", "scaleSetPriority", ""},
		{"availability set", `pool.type="AvailabilitySet"`, "InvalidParameter", "type", ""},
		{"no nodes", `pool.count=0`, "InvalidParameter", "count", "1 to 1000"},
		{"too many nodes", `pool.count=1001`, "InvalidParameter", "count", "*"},
		{"too few pods", `pool.maxPods=5`, "InvalidParameter", "maxPods", "10 to 250"},
		{"pool name", `pool.name="Node_Pool"`, "InvalidParameter", "name", "lower-case"},
		{"taint", `pool.nodeTaints=["a=b"]`, "InvalidParameter", "nodeTaints[0]", "key=value:Effect"},
		{"label", `pool.nodeLabels={"kubernetes.azure.com/mode":"x"}`, "InvalidParameter", "nodeLabels", "reserved"},
		{"subnet too small", `pool.count=20`, "InsufficientSubnetSize", "vnetSubnetID", "621"},
		{"subnet missing", `pool.vnetSubnetID="` + vnetID + `/subnets/nope"`, "SubnetNotFound", "vnetSubnetID", ""},
		{"network missing", `pool.vnetSubnetID="` + vnetID + `9/subnets/s"`, "VnetNotFound", "vnetSubnetID", ""},
		{"subnet no id", `pool.vnetSubnetID="s"`, "InvalidParameter", "vnetSubnetID", ""},
		{"network elsewhere", `pool.vnetSubnetID="` + vnetID + `2/subnets/far"`, "InvalidVNetLocation", "vnetSubnetID", "westus2"},
		{"no system pool", `pool.mode="User"`, "InvalidParameter", p + "agentPoolProfiles", "System"},
		{"pool mode", `pool.mode="Boss"`, "InvalidParameter", "mode", "*"},
		{"no pools", `properties.agentPoolProfiles=[]`, "InvalidParameter", p + "agentPoolProfiles", ""},
		{"no identity", `identity=null`, "InvalidParameter", "identity.type", ""},
		{"identity missing", `identity={"type":"UserAssigned","userAssignedIdentities":{"` + umiID + `9":{}}}`, "UserAssignedIdentityNotFound", "identity.userAssignedIdentities", ""},
		{"add-on", `properties.addonProfiles={"omsagent":{"enabled":true}}`, "FeatureNotSupported", p + "addonProfiles.omsagent", ""},
		{"entra", `properties.aadProfile={"managed":true}`, "FeatureNotSupported", p + "aadProfile", ""},
		{"local accounts", `properties.disableLocalAccounts=true`, "FeatureNotSupported", p + "disableLocalAccounts", ""},
		{"no RBAC", `properties.enableRBAC=false`, "FeatureNotSupported", p + "enableRBAC", ""},
		{"sku", `sku={"name":"Automatic","tier":"Standard"}`, "FeatureNotSupported", "sku.name", ""},
		{"tier", `sku={"name":"Base","tier":"Gold"}`, "InvalidParameter", "sku.tier", ""},
		{"node group taken", `properties.nodeResourceGroup="taken"`, "NodeResourceGroupAlreadyExists", p + "nodeResourceGroup", "--node-resource-group"},
		{"node group is the group", `properties.nodeResourceGroup="RG"`, "InvalidParameter", p + "nodeResourceGroup", ""},
		{"wrong kind", `properties.networkProfile=7`, "InvalidParameter", p + "networkProfile", "an object"},
		{"wrong kind in pool", `pool.count="3"`, "InvalidParameter", "count", "a whole number"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, err := b.admit(body(t, strings.Split(c.edits, ";")...), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !found(w.Problems, c.code, c.target, strings.Trim(c.says, "*")) {
				t.Errorf("want %s on %s (%q), got\n%s", c.code, c.target, c.says, codes(w.Problems))
			}
			if len(w.Problems) != 1 && c.says != "*" {
				t.Errorf("one mistake, and %d complaints:\n%s", len(w.Problems), codes(w.Problems))
			}
		})
	}
}

func found(problems []*arm.Error, code, target, says string) bool {
	for _, p := range problems {
		if p.Code == code && strings.HasSuffix(p.Target, target) && strings.Contains(p.Message, says) {
			return true
		}
	}
	return false
}

// TestEveryMistakeAtOnce holds that nobody has to mend a request one sentence at a time.
func TestEveryMistakeAtOnce(t *testing.T) {
	b := newBench(t)
	w, err := b.admit(body(t, `properties.kubernetesVersion="1.14.8"`, `properties.networkProfile.networkPlugin="kubenet"`, `pool.vmSize="x"`, `pool.vnetSubnetID="`+vnetID+`/subnets/nope"`, "properties.apiServerAccessProfile.enablePrivateCluster=false"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"K8sVersionNotSupported", "VMSizeNotSupported", "SubnetNotFound"} {
		if !found(w.Problems, code, "", "") {
			t.Errorf("%s is not among\n%s", code, codes(w.Problems))
		}
	}
}

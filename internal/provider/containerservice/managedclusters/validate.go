package managedclusters

import (
	"net/netip"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

// Names is what a cluster may be called.
// https://learn.microsoft.com/rest/api/aks/managed-clusters/create-or-update
var Names = regexp.MustCompile(`^[a-zA-Z0-9]$|^[a-zA-Z0-9][-_a-zA-Z0-9]{0,61}[a-zA-Z0-9]$`)

// NameRule is the rule in words.
const NameRule = "1 to 63 letters, digits, '-' and '_', beginning and ending with a letter or digit"

var (
	prefixRule    = regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9]{0,52}[a-zA-Z0-9])?$`)
	subdomainRule = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	groupRule     = regexp.MustCompile(`^[-\w.()]{0,89}[-\w()]$`)
)

// kinds are the fields that are interpreted.
var kinds = map[string]shape.Kind{
	"kubernetesVersion": shape.String, "dnsPrefix": shape.String, "fqdnSubdomain": shape.String, "nodeResourceGroup": shape.String, "agentPoolProfiles": shape.Array,
	"enableRBAC": shape.Boolean, "disableLocalAccounts": shape.Boolean, "addonProfiles": shape.Object, "aadProfile": shape.Object, "identityProfile": shape.Object,
	"servicePrincipalProfile": shape.Object, "networkProfile": shape.Object, "networkProfile.networkPlugin": shape.String, "networkProfile.networkPluginMode": shape.String,
	"networkProfile.networkPolicy": shape.String, "networkProfile.networkDataplane": shape.String, "networkProfile.serviceCidr": shape.String,
	"networkProfile.dnsServiceIP": shape.String, "networkProfile.loadBalancerSku": shape.String, "networkProfile.outboundType": shape.String,
	"networkProfile.ipFamilies": shape.Array, "networkProfile.loadBalancerProfile": shape.Object, "apiServerAccessProfile": shape.Object,
	"apiServerAccessProfile.enablePrivateCluster": shape.Boolean, "apiServerAccessProfile.privateDNSZone": shape.String, "apiServerAccessProfile.authorizedIPRanges": shape.Array,
	"apiServerAccessProfile.enablePrivateClusterPublicFQDN": shape.Boolean, "apiServerAccessProfile.enableVnetIntegration": shape.Boolean,
	"oidcIssuerProfile": shape.Object, "securityProfile": shape.Object, "storageProfile": shape.Object, "linuxProfile": shape.Object,
}

const at = "properties."

// validate reports every mistake that the completed document shows by itself.
func validate(w *arm.Write, props shape.Doc, versions shape.Versions) {
	validateAccess(w, props)
	validateNetwork(w, props)
	validateFeatures(w, props)
	if w.Old == nil {
		if version := props.Str("kubernetesVersion"); versions.Default() == "" {
			w.Fail("K8sVersionNotSupported", at+"kubernetesVersion", "No version of Kubernetes is built on this machine. `cloister up` builds one.")
		} else if resolved, ok := versions.Resolve(version); !ok {
			w.Fail("K8sVersionNotSupported", at+"kubernetesVersion", "The specified Kubernetes version %s is not supported. Versions are: %s. `az aks get-versions` lists them.", version, versions)
		} else {
			props.Set("currentKubernetesVersion", resolved)
		}
	}
	prefix, sub := props.Str("dnsPrefix"), props.Str("fqdnSubdomain")
	switch {
	case prefix == "" && sub == "":
		w.Fail("InvalidParameter", at+"dnsPrefix", "A DNS prefix is missing. Set dnsPrefix (--dns-name-prefix), or fqdnSubdomain with a private zone of your own.")
	case prefix != "" && sub != "":
		w.Fail("InvalidParameter", at+"fqdnSubdomain", "Set dnsPrefix or fqdnSubdomain, not both.")
	case sub == "" && !prefixRule.MatchString(prefix):
		w.Fail("InvalidParameter", at+"dnsPrefix", "The DNS prefix '%s' must be 1 to 54 letters, digits and '-', beginning and ending with a letter or digit.", prefix)
	}
	if g := props.Str("nodeResourceGroup"); !groupRule.MatchString(g) {
		w.Fail("InvalidParameter", at+"nodeResourceGroup", "The node resource group's name '%s' must be 1 to 90 letters, digits, '-', '_', '.' and parentheses, and not end with a period.", g)
	} else if strings.EqualFold(g, w.ID.ResourceGroup()) {
		w.Fail("InvalidParameter", at+"nodeResourceGroup", "The node resource group cannot be the group that the cluster is in. Take another name, or none.")
	}
}

func validateAccess(w *arm.Write, props shape.Doc) {
	const access = "apiServerAccessProfile."
	if !props.Bool(access + "enablePrivateCluster") {
		w.Fail("FeatureNotSupported", at+access+"enablePrivateCluster", "Clusters with a public API server are not offered yet. Make a private one: --enable-private-cluster.")
	}
	if len(props.List(access+"authorizedIPRanges")) > 0 {
		w.Fail("InvalidParameter", at+access+"authorizedIPRanges", "Authorized IP ranges cannot be used with a private cluster: its API server has no public address. Leave --api-server-authorized-ip-ranges out.")
	}
	if props.Bool(access + "enableVnetIntegration") {
		w.Fail("FeatureNotSupported", at+access+"enableVnetIntegration", "API server VNet integration is not offered yet. A private endpoint leads to the API server.")
	}
	zone := props.Str(access + "privateDNSZone")
	if zone == shape.ZoneNone && !props.Bool(access+"enablePrivateClusterPublicFQDN") {
		w.Fail("InvalidParameter", at+access+"enablePrivateClusterPublicFQDN", "Without a private zone (privateDNSZone none) the public name is the only one: it cannot be disabled.")
	}
	if zone == shape.ZoneNone || zone == shape.ZoneSystem {
		if props.Str("fqdnSubdomain") != "" && props.Str("dnsPrefix") == "" && w.Old == nil {
			w.Fail("InvalidParameter", at+"fqdnSubdomain", "fqdnSubdomain needs a private zone of your own (--private-dns-zone with the zone's id).")
		}
	}
}

func validateNetwork(w *arm.Write, props shape.Doc) {
	const net = "networkProfile."
	plugin, mode := props.Str(net+"networkPlugin"), props.Str(net+"networkPluginMode")
	switch {
	case strings.EqualFold(plugin, "kubenet"):
		w.Fail("FeatureNotSupported", at+net+"networkPlugin", "kubenet is not offered yet. Take Azure CNI, where pods have addresses of the subnet: --network-plugin azure.")
	case strings.EqualFold(plugin, "none"):
		w.Fail("FeatureNotSupported", at+net+"networkPlugin", "A network plugin of your own is not offered yet. Take --network-plugin azure.")
	case !strings.EqualFold(plugin, "azure"):
		w.Fail("InvalidParameter", at+net+"networkPlugin", "The network plugin '%s' is unknown. Take --network-plugin azure.", plugin)
	case mode != "":
		w.Fail("FeatureNotSupported", at+net+"networkPluginMode", "The network plugin mode '%s' is not offered yet. Leave --network-plugin-mode out: pods then have addresses of the subnet.", mode)
	default:
		props.Set(net+"networkPlugin", "azure")
	}
	if p := props.Str(net + "networkPolicy"); !strings.EqualFold(p, "none") {
		w.Fail("FeatureNotSupported", at+net+"networkPolicy", "Network policies ('%s') are not offered yet. Leave --network-policy out.", p)
	}
	if p := props.Str(net + "networkDataplane"); !strings.EqualFold(p, "azure") {
		w.Fail("FeatureNotSupported", at+net+"networkDataplane", "The data plane '%s' is not offered yet. Leave --network-dataplane out.", p)
	}
	if s := props.Str(net + "loadBalancerSku"); strings.EqualFold(s, "basic") {
		w.Fail("InvalidParameter", at+net+"loadBalancerSku", "A private cluster needs a standard load balancer: --load-balancer-sku standard.")
	} else if !strings.EqualFold(s, "standard") {
		w.Fail("InvalidParameter", at+net+"loadBalancerSku", "The load balancer SKU '%s' is unknown. Take standard.", s)
	}
	if o := props.Str(net + "outboundType"); !strings.EqualFold(o, "loadBalancer") {
		w.Fail("FeatureNotSupported", at+net+"outboundType", "The outbound type '%s' is not offered yet. Take --outbound-type loadBalancer.", o)
	}
	for _, f := range props.Strings(net + "ipFamilies") {
		if !strings.EqualFold(f, "IPv4") {
			w.Fail("FeatureNotSupported", at+net+"ipFamilies", "The address family %s is not offered yet: clusters use IPv4.", f)
		}
	}
	if n := props.Int(net + "loadBalancerProfile.managedOutboundIPs.count"); n > 1 {
		w.Fail("FeatureNotSupported", at+net+"loadBalancerProfile.managedOutboundIPs.count", "More than one outbound address (%d) is not offered yet.", n)
	}
	for _, own := range []string{"outboundIPs", "outboundIPPrefixes"} {
		if props.At(net+"loadBalancerProfile."+own) != nil {
			w.Fail("FeatureNotSupported", at+net+"loadBalancerProfile."+own, "Outbound addresses of your own are not offered yet: the cluster makes one.")
		}
	}
	validateServices(w, props)
}

func validateServices(w *arm.Write, props shape.Doc) {
	const net = "networkProfile."
	cidr, err := netip.ParsePrefix(props.Str(net + "serviceCidr"))
	if err != nil || !cidr.Addr().Is4() {
		w.Fail("InvalidServiceCidr", at+net+"serviceCidr", "The service CIDR '%s' is not an IPv4 prefix, such as 10.0.0.0/16.", props.Str(net+"serviceCidr"))
		return
	}
	if cidr != cidr.Masked() {
		w.Fail("InvalidServiceCidr", at+net+"serviceCidr", "The service CIDR '%s' does not begin at a prefix's first address. It would be %s.", cidr, cidr.Masked())
		return
	}
	if cidr.Bits() < 12 || cidr.Bits() > 28 {
		w.Fail("InvalidServiceCidr", at+net+"serviceCidr", "The service CIDR '%s' must be between /12 and /28.", cidr)
	}
	dns, err := netip.ParseAddr(props.Str(net + "dnsServiceIP"))
	switch {
	case err != nil:
		w.Fail("InvalidDnsServiceIP", at+net+"dnsServiceIP", "The DNS service IP '%s' is not an IP address.", props.Str(net+"dnsServiceIP"))
	case !cidr.Contains(dns):
		w.Fail("DnsServiceIpOutOfServiceCidr", at+net+"dnsServiceIP", "The specified DNS service IP %s is out of the service CIDR %s. Take an address inside, for example %s.", dns, cidr, tenth(cidr))
	case dns == cidr.Addr() || dns == cidr.Addr().Next() || !cidr.Contains(dns.Next()):
		w.Fail("InvalidDnsServiceIP", at+net+"dnsServiceIP", "The DNS service IP %s is the first, second or last address of the service CIDR %s, which is taken. Take another, for example %s.", dns, cidr, tenth(cidr))
	}
}

func tenth(cidr netip.Prefix) netip.Addr {
	a := cidr.Addr()
	for range 10 {
		a = a.Next()
	}
	return a
}

package networkinterfaces

import (
	"fmt"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

// config is an IP configuration as it was sent.
type config struct {
	target string // path of its properties, with a dot at the end
	name   string
	props  kit.Doc
}

var (
	configNames = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$`)
	kinds       = map[string]kit.Kind{
		"ipConfigurations": kit.Objects, "networkSecurityGroup": kit.Object, "networkSecurityGroup.id": kit.String, "dnsSettings": kit.Object,
		"dnsSettings.dnsServers": kit.Strings, "enableIPForwarding": kit.Boolean, "enableAcceleratedNetworking": kit.Boolean,
	}
	configKinds = map[string]kit.Kind{
		"subnet": kit.Object, "subnet.id": kit.String, "publicIPAddress": kit.Object, "publicIPAddress.id": kit.String, "primary": kit.Boolean,
		"privateIPAddress": kit.String, "privateIPAllocationMethod": kit.String, "privateIPAddressVersion": kit.String, "loadBalancerBackendAddressPools": kit.Objects,
		"loadBalancerInboundNatRules": kit.Objects, "applicationSecurityGroups": kit.Objects, "applicationGatewayBackendAddressPools": kit.Objects,
	}
)

// maxConfigs is how many addresses an interface can have.
const maxConfigs = 256

// validate sets defaults, takes out what is computed at reading, and reports every mistake that the document alone shows.
func validate(w *arm.Write) []config {
	props := kit.Props(w.New)
	if !kit.CheckKinds(w, props, "properties.", kinds) {
		return nil
	}
	for _, computed := range []string{"resourceGuid", "macAddress", "virtualMachine", "privateEndpoint", "hostedWorkloads", "tapConfigurations", "vnetEncryptionSupported", "primary"} {
		delete(props, computed)
	}
	if props.ID("networkSecurityGroup") == "" {
		delete(props, "networkSecurityGroup")
	}
	for _, s := range props.Strings("dnsSettings.dnsServers") {
		if s != "168.63.129.16" {
			kit.Unsupported(w, "properties.dnsSettings.dnsServers", "DNS servers of your own are", "Leave dnsServers out: machines ask 168.63.129.16.")
			break
		}
	}
	if props.Bool("enableIPForwarding") {
		kit.Unsupported(w, "properties.enableIPForwarding", "Forwarding by machines is", "Set enableIPForwarding to false.")
	}
	props.Default("enableIPForwarding", false)
	props.Default("enableAcceleratedNetworking", false)
	props.Default("nicType", "Standard")
	docs := props.Docs("ipConfigurations")
	if len(docs) == 0 || len(docs) > maxConfigs {
		w.Fail("NetworkInterfaceMustHaveOneIpConfiguration", "properties.ipConfigurations", "Network interface %s has %d IP configurations. It needs at least one, with a subnet, and has at most %d.", w.ID, len(docs), maxConfigs)
		return nil
	}
	var out []config
	seen := map[string]bool{}
	for i, d := range docs {
		c := config{fmt.Sprintf("properties.ipConfigurations[%d].properties.", i), d.Str("name"), nil}
		at := fmt.Sprintf("properties.ipConfigurations[%d].", i)
		if !kit.CheckKinds(w, d, at, map[string]kit.Kind{"properties": kit.Object}) {
			continue
		}
		c.props = d.Sub("properties")
		checkConfig(w, c, at, seen)
		for _, computed := range []string{"id", "type", "etag"} {
			delete(d, computed)
		}
		out = append(out, c)
	}
	checkPrimary(w, out)
	return out
}

func checkConfig(w *arm.Write, c config, at string, seen map[string]bool) {
	if !configNames.MatchString(c.name) {
		w.Fail("InvalidResourceName", at+"name", "The name '%s' is not one for an IP configuration. Allowed: 1 to 80 letters, digits, '_', '.' and '-', beginning with a letter or digit and ending with one or '_'.", c.name)
	} else if seen[strings.ToLower(c.name)] {
		w.Fail("DuplicateResourceName", at+"name", "The IP configuration '%s' stands twice in the request. Names differ by more than case.", c.name)
	}
	seen[strings.ToLower(c.name)] = true
	p := c.props
	if !kit.CheckKinds(w, p, c.target, configKinds) {
		return
	}
	for _, computed := range []string{"provisioningState", "privateLinkConnectionProperties"} {
		delete(p, computed)
	}
	p.Default("privateIPAllocationMethod", "Dynamic")
	p.Default("privateIPAddressVersion", "IPv4")
	switch method := p.Str("privateIPAllocationMethod"); {
	case method != "Dynamic" && method != "Static":
		w.Fail("InvalidRequestFormat", c.target+"privateIPAllocationMethod", "The value '%s' of privateIPAllocationMethod is not one of Dynamic, Static.", method)
	case method == "Static" && p.Str("privateIPAddress") == "":
		w.Fail("StaticPrivateIPAddressMissing", c.target+"privateIPAddress", "IP configuration %s is static and names no address. Set privateIPAddress, or privateIPAllocationMethod to Dynamic.", c.name)
	case method == "Dynamic":
		delete(p, "privateIPAddress")
	}
	if p.ID("subnet") == "" {
		w.Fail("NetworkInterfaceMustHaveSubnet", c.target+"subnet", "IP configuration %s names no subnet. Set subnet.id.", c.name)
	}
	if p.ID("publicIPAddress") == "" {
		delete(p, "publicIPAddress")
	}
	if p.Str("privateIPAddressVersion") != "IPv4" {
		kit.Unsupported(w, c.target+"privateIPAddressVersion", "IPv6 is", "Set privateIPAddressVersion to IPv4.")
	}
	for key, what := range map[string]string{
		"applicationSecurityGroups": "Application security groups are", "applicationGatewayBackendAddressPools": "Application gateways are", "loadBalancerInboundNatRules": "Inbound NAT rules are",
	} {
		if len(p.List(key)) > 0 {
			kit.Unsupported(w, c.target+key, what, "Leave "+key+" out.")
		}
	}
}

// checkPrimary makes the first configuration the primary one, where none is said to be.
func checkPrimary(w *arm.Write, all []config) {
	n := 0
	for _, c := range all {
		if c.props.Bool("primary") {
			n++
		}
		c.props.Default("primary", false)
	}
	switch {
	case n > 1:
		w.Fail("NicHasMultiplePrimaryIpConfigurations", "properties.ipConfigurations", "%d IP configurations of network interface %s are primary. Only one can be.", n, w.ID)
	case n == 0 && len(all) > 0:
		all[0].props["primary"] = true
	}
}

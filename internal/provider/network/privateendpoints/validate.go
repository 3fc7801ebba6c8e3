package privateendpoints

import (
	"regexp"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

var kinds = map[string]kit.Kind{
	"subnet": kit.Object, "subnet.id": kit.String, automatic: kit.Objects, manual: kit.Objects, "customNetworkInterfaceName": kit.String,
	"ipConfigurations": kit.Objects, "applicationSecurityGroups": kit.Objects,
}

var (
	names     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$`)
	nameRule  = "1 to 80 letters, digits, '_', '.' and '-', beginning with a letter or digit and ending with one or '_'"
	connKinds = map[string]kit.Kind{
		"name": kit.String, "properties": kit.Object, "properties.privateLinkServiceId": kit.String, "properties.groupIds": kit.Strings, "properties.requestMessage": kit.String,
	}
)

// maxMessage is how long a message to the service's owner may be.
const maxMessage = 140

// validate sets defaults, takes out what is computed at reading, and reports every mistake that the document alone shows.
func validate(w *arm.Write, props kit.Doc) bool {
	if !kit.CheckKinds(w, props, "properties.", kinds) {
		return false
	}
	for _, computed := range []string{"networkInterfaces", "customDnsConfigs"} {
		delete(props, computed)
	}
	if props.ID("subnet") == "" {
		w.Fail("PrivateEndpointMustHaveSubnet", "properties.subnet", "Private endpoint %s names no subnet. Set subnet.id.", w.ID)
	}
	if len(props.List("applicationSecurityGroups")) > 0 {
		kit.Unsupported(w, "properties.applicationSecurityGroups", "Application security groups are", "Leave them out.")
	}
	if n := props.Str("customNetworkInterfaceName"); n != "" && !names.MatchString(n) {
		w.Fail("InvalidResourceName", "properties.customNetworkInterfaceName", "The name '%s' is not one for a network interface. Allowed: %s.", n, nameRule)
	}
	if len(props.List("ipConfigurations")) > 1 {
		w.Fail("PrivateEndpointTooManyIpConfigurations", "properties.ipConfigurations", "Private endpoint %s has %d static addresses. What it leads to has one: give one.", w.ID, len(props.List("ipConfigurations")))
	}
	n := len(props.List(automatic)) + len(props.List(manual))
	if n != 1 {
		w.Fail("PrivateEndpointMustHaveOneConnection", "properties."+automatic, "Private endpoint %s has %d connections. Name exactly one, in %s, or in %s when the service's owner has to approve it.", w.ID, n, automatic, manual)
		return false
	}
	c, list := connection(props)
	at := "properties." + list + "[0]."
	if !kit.CheckKinds(w, c, at, connKinds) {
		return false
	}
	if !names.MatchString(c.Str("name")) {
		w.Fail("InvalidResourceName", at+"name", "The name '%s' is not one for a connection. Allowed: %s.", c.Str("name"), nameRule)
	}
	if m := c.Str("properties.requestMessage"); len([]rune(m)) > maxMessage {
		w.Fail("PrivateEndpointRequestMessageTooLong", at+"properties.requestMessage", "The message has more than %d characters.", maxMessage)
	}
	if len(c.Doc("properties").Strings("groupIds")) != 1 {
		w.Fail("PrivateEndpointInvalidGroupId", at+"properties.groupIds", "A connection names exactly one group id, for example [\"management\"].")
	}
	for _, computed := range []string{"id", "type", "etag"} {
		delete(c, computed)
	}
	if w.Old == nil {
		delete(c.Sub("properties"), "privateLinkServiceConnectionState")
	}
	return len(w.Problems) == 0
}

package loadbalancers

import (
	"fmt"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

var partNames = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$`)

// validate sets defaults and reports every mistake.
func validate(w *arm.Write) {
	props, body := kit.Props(w.New), kit.Doc(w.New.Body)
	kinds := map[string]kit.Kind{}
	for _, p := range parts {
		kinds[p] = kit.Objects
	}
	if !kit.CheckKinds(w, props, "properties.", kinds) || !kit.CheckKinds(w, body, "", map[string]kit.Kind{"sku": kit.Object, "sku.name": kit.String}) {
		return
	}
	sku := body.Sub("sku")
	sku.Default("name", "Basic")
	sku.Default("tier", "Regional")
	if n := sku.Str("name"); n != "Basic" && n != "Standard" {
		w.Fail("InvalidRequestFormat", "sku.name", "The sku '%s' is not one of Basic, Standard.", n)
	}
	names := map[string]map[string]bool{}
	for _, p := range parts {
		names[p] = checkPart(w, props, p)
		props.Default(p, []any{})
	}
	for i, f := range props.Docs("frontendIPConfigurations") {
		checkFrontend(w, f, fmt.Sprintf("properties.frontendIPConfigurations[%d].properties.", i))
	}
	for i, r := range props.Docs("outboundRules") {
		checkOutbound(w, r.Doc("properties"), fmt.Sprintf("properties.outboundRules[%d].properties.", i), names, sku.Str("name"))
	}
	for i, r := range props.Docs("loadBalancingRules") {
		target := fmt.Sprintf("properties.loadBalancingRules[%d].properties.", i)
		p := r.Doc("properties")
		refer(w, p.ID("frontendIPConfiguration"), target+"frontendIPConfiguration", "frontendIPConfigurations", names)
		if id := p.ID("backendAddressPool"); id != "" {
			refer(w, id, target+"backendAddressPool", "backendAddressPools", names)
		}
		if id := p.ID("probe"); id != "" {
			refer(w, id, target+"probe", "probes", names)
		}
	}
}

// checkPart checks the names of one array's elements, takes out what is computed at reading, and returns the names.
func checkPart(w *arm.Write, props kit.Doc, part string) map[string]bool {
	seen := map[string]bool{}
	for i, e := range props.Docs(part) {
		at := fmt.Sprintf("properties.%s[%d]", part, i)
		name := e.Str("name")
		switch {
		case !partNames.MatchString(name):
			w.Fail("InvalidResourceName", at+".name", "The name '%s' is not one for an element of %s. Allowed: 1 to 80 letters, digits, '_', '.' and '-', beginning with a letter or digit and ending with one or '_'.", name, part)
			continue
		case seen[strings.ToLower(name)]:
			w.Fail("DuplicateResourceName", at+".name", "The name '%s' stands twice in %s. Names differ by more than case.", name, part)
		}
		seen[strings.ToLower(name)] = true
		kit.CheckKinds(w, e, at+".", map[string]kit.Kind{"properties": kit.Object})
		for _, computed := range []string{"id", "type", "etag"} {
			delete(e, computed)
		}
		p := e.Doc("properties")
		for _, computed := range []string{"provisioningState", "backendIPConfigurations"} {
			delete(p, computed)
		}
		if part != "outboundRules" && part != "loadBalancingRules" && part != "inboundNatRules" {
			for _, back := range []string{"outboundRules", "loadBalancingRules", "inboundNatRules", "outboundRule"} {
				delete(p, back)
			}
		}
	}
	return seen
}

func checkFrontend(w *arm.Write, f kit.Doc, target string) {
	props := f.Doc("properties")
	if !kit.CheckKinds(w, props, target, map[string]kit.Kind{"publicIPAddress": kit.Object, "publicIPAddress.id": kit.String, "subnet": kit.Object}) {
		return
	}
	switch {
	case props.ID("subnet") != "":
		kit.Unsupported(w, target+"subnet", "Internal load balancers are", "Name a publicIPAddress instead.")
	case props.ID("publicIPAddress") == "":
		w.Fail("LoadBalancerFrontendMissingAddress", target+"publicIPAddress", "The frontend '%s' names no public IP address. Give it one.", f.Str("name"))
	default:
		props.Default("privateIPAllocationMethod", "Dynamic")
	}
}

func checkOutbound(w *arm.Write, p kit.Doc, target string, names map[string]map[string]bool, sku string) {
	if sku != "Standard" {
		w.Fail("OutboundRuleNotSupportedForBasicSku", target, "Outbound rules need a load balancer with the sku Standard.")
	}
	fronts := p.Docs("frontendIPConfigurations")
	if len(fronts) == 0 {
		w.Fail("OutboundRuleMissingFrontend", target+"frontendIPConfigurations", "The outbound rule names no frontend. Name at least one.")
	}
	for _, f := range fronts {
		refer(w, f.Str("id"), target+"frontendIPConfigurations", "frontendIPConfigurations", names)
	}
	refer(w, p.ID("backendAddressPool"), target+"backendAddressPool", "backendAddressPools", names)
}

// refer checks that an id names a part of this load balancer.
func refer(w *arm.Write, id, target, part string, names map[string]map[string]bool) {
	prefix := strings.ToLower(w.ID.String() + "/" + part + "/")
	if name, ok := strings.CutPrefix(strings.ToLower(id), prefix); !ok || !names[part][name] {
		w.Fail("InvalidResourceReference", target, "Resource '%s' referenced by resource %s was not found. It must be one of its own %s: %s<name>.", id, w.ID, part, w.ID.String()+"/"+part+"/")
	}
}

package publicipaddresses

import (
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

var kinds = map[string]kit.Kind{
	"publicIPAllocationMethod": kit.String, "publicIPAddressVersion": kit.String, "idleTimeoutInMinutes": kit.Number, "dnsSettings": kit.Object,
	"publicIPPrefix": kit.Object, "ddosSettings": kit.Object, "ipTags": kit.Objects, "ipAddress": kit.String,
}

// validate sets defaults and reports every mistake.
func validate(w *arm.Write) {
	props, body := kit.Props(w.New), kit.Doc(w.New.Body)
	if !kit.CheckKinds(w, props, "properties.", kinds) || !kit.CheckKinds(w, body, "", map[string]kit.Kind{"sku": kit.Object, "sku.name": kit.String, "sku.tier": kit.String, "zones": kit.Strings}) {
		return
	}
	sku := body.Sub("sku")
	if w.Old != nil {
		for k, v := range kit.Doc(w.Old.Body).Doc("sku") {
			sku.Default(k, v)
		}
	}
	sku.Default("name", "Basic")
	sku.Default("tier", "Regional")
	props.Default("publicIPAddressVersion", "IPv4")
	standard := strings.EqualFold(sku.Str("name"), "Standard")
	method := "Dynamic"
	if standard {
		method = "Static"
	}
	props.Default("publicIPAllocationMethod", method)
	props.Default("idleTimeoutInMinutes", 4)
	props.Default("ipTags", []any{})
	checkWords(w, props, sku)
	switch {
	case standard && props.Str("publicIPAllocationMethod") != "Static":
		w.Fail("StandardSkuPublicIPAddressesMustBeStatic", "properties.publicIPAllocationMethod", "Standard sku publicIp %s must have AllocationMethod set to Static.", w.New.ID)
	case props.Int("idleTimeoutInMinutes") < 4 || props.Int("idleTimeoutInMinutes") > 30:
		w.Fail("InvalidIdleTimeoutValue", "properties.idleTimeoutInMinutes", "The idle timeout of public IP address %s is %d minutes; it must be from 4 to 30.", w.New.ID, props.Int("idleTimeoutInMinutes"))
	}
	if props.Str("dnsSettings.domainNameLabel") != "" || props.Str("dnsSettings.reverseFqdn") != "" {
		kit.Unsupported(w, "properties.dnsSettings", "DNS names of public addresses are", "Leave dnsSettings out.")
	}
	if props.ID("publicIPPrefix") != "" {
		kit.Unsupported(w, "properties.publicIPPrefix", "Public IP prefixes are", "Leave publicIPPrefix out: the address comes from the pool.")
	}
	fixed(w, props, sku)
}

func checkWords(w *arm.Write, props, sku kit.Doc) {
	for _, f := range []struct {
		doc     kit.Doc
		field   string
		target  string
		allowed []string
	}{
		{props, "publicIPAllocationMethod", "properties.", []string{"Static", "Dynamic"}},
		{props, "publicIPAddressVersion", "properties.", []string{"IPv4", "IPv6"}},
		{sku, "name", "sku.", []string{"Basic", "Standard"}},
		{sku, "tier", "sku.", []string{"Regional", "Global"}},
	} {
		known := false
		for _, a := range f.allowed {
			if strings.EqualFold(a, f.doc.Str(f.field)) {
				f.doc[f.field], known = a, true
			}
		}
		if !known {
			w.Fail("InvalidRequestFormat", f.target+f.field, "The value '%s' of %s is not one of %s.", f.doc.Str(f.field), f.target+f.field, strings.Join(f.allowed, ", "))
		}
	}
	if props.Str("publicIPAddressVersion") == "IPv6" {
		kit.Unsupported(w, "properties.publicIPAddressVersion", "IPv6 is", "Set publicIPAddressVersion to IPv4.")
	}
	if sku.Str("tier") == "Global" {
		kit.Unsupported(w, "sku.tier", "Global public addresses are", "Set the tier to Regional.")
	}
}

// fixed reports what cannot change after creation.
func fixed(w *arm.Write, props, sku kit.Doc) {
	if w.Old == nil {
		return
	}
	if before := kit.Doc(w.Old.Body).Str("sku.name"); before != sku.Str("name") {
		w.Fail("PropertyChangeNotAllowed", "sku.name", "The sku of public IP address %s cannot be changed from %s to %s. Make another address.", w.Old.ID, before, sku.Str("name"))
	}
	if before := kit.Props(w.Old).Str("publicIPAllocationMethod"); before != props.Str("publicIPAllocationMethod") && len(kit.Users(w.Old)) > 0 {
		w.Fail("PublicIPAddressInUse", "properties.publicIPAllocationMethod", "The allocation method of public IP address %s cannot be changed while %s uses it.", w.Old.ID, strings.Join(kit.Users(w.Old), ", "))
	}
}

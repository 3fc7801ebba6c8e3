package managedclusters

import (
	"sort"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

// switches are the parts of AKS that are turned on by a true, and that are not there yet.
var switches = []struct{ path, what string }{
	{"oidcIssuerProfile.enabled", "A public OIDC issuer"},
	{"securityProfile.workloadIdentity.enabled", "Workload identity"},
	{"securityProfile.defender.securityMonitoring.enabled", "Microsoft Defender"},
	{"securityProfile.azureKeyVaultKms.enabled", "Encryption of secrets with a key vault"},
	{"securityProfile.imageCleaner.enabled", "The image cleaner"},
	{"azureMonitorProfile.metrics.enabled", "Azure Monitor"},
	{"ingressProfile.webAppRouting.enabled", "Application routing"},
	{"workloadAutoScalerProfile.keda.enabled", "KEDA"},
	{"workloadAutoScalerProfile.verticalPodAutoscaler.enabled", "The vertical pod autoscaler"},
	{"storageProfile.blobCSIDriver.enabled", "The blob storage driver"},
	{"disableLocalAccounts", "Disabling local accounts (it needs Microsoft Entra integration)"},
}

// objects are the parts that are turned on by being there.
var objects = []struct{ path, what string }{
	{"aadProfile", "Microsoft Entra integration of clusters"},
	{"httpProxyConfig", "An HTTP proxy for nodes"},
	{"serviceMeshProfile", "The service mesh"},
	{"podIdentityProfile", "Pod identity"},
	{"hostedSystemProfile", "Hosted system pools"},
}

// validateFeatures refuses what Cloister would otherwise only pretend to do.
func validateFeatures(w *arm.Write, props shape.Doc) {
	for _, s := range switches {
		if props.Bool(s.path) {
			w.Fail("FeatureNotSupported", at+s.path, "%s is not offered yet. Leave %s out, or set it to false.", s.what, s.path)
		}
	}
	for _, o := range objects {
		if d := props.Doc(o.path); len(d) > 0 && !(strings.HasPrefix(o.path, "pod") && !d.Bool("enabled")) {
			w.Fail("FeatureNotSupported", at+o.path, "%s is not offered yet. Leave %s out.", o.what, o.path)
		}
	}
	var addons []string
	for name := range props.Doc("addonProfiles") {
		if props.Bool("addonProfiles." + name + ".enabled") {
			addons = append(addons, name)
		}
	}
	sort.Strings(addons)
	for _, name := range addons {
		w.Fail("FeatureNotSupported", at+"addonProfiles."+name, "The add-on '%s' is not offered yet. Leave it out.", name)
	}
	if props.At("enableRBAC") == false {
		w.Fail("FeatureNotSupported", at+"enableRBAC", "Clusters without role-based access control are not offered. Leave --disable-rbac out.")
	}
	if props.Str("diskEncryptionSetID") != "" {
		w.Fail("FeatureNotSupported", at+"diskEncryptionSetID", "Disk encryption sets are not offered yet. Leave --node-osdisk-diskencryptionset-id out.")
	}
	if strings.EqualFold(props.Str("bootstrapProfile.artifactSource"), "Cache") {
		w.Fail("FeatureNotSupported", at+"bootstrapProfile.artifactSource", "Network-isolated clusters (artifactSource Cache) are not offered yet. Take Direct.")
	}
	sku := shape.Doc(w.New.Body).Doc("sku")
	if n := sku.Str("name"); !strings.EqualFold(n, "Base") {
		w.Fail("FeatureNotSupported", "sku.name", "The SKU '%s' is not offered. Take Base.", n)
	}
	switch t := sku.Str("tier"); strings.ToLower(t) {
	case "free", "standard", "premium":
	default:
		w.Fail("InvalidParameter", "sku.tier", "The tier '%s' is unknown. Take Free, Standard or Premium.", t)
	}
}

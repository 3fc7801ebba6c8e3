package agentpools

import (
	"fmt"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/compute/sizes"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

// Names is what a Linux pool may be called: it becomes part of host names.
var Names = regexp.MustCompile(`^[a-z][a-z0-9]{0,11}$`)

// NameRule is the rule in words.
const NameRule = "1 to 12 lower-case letters and digits, beginning with a letter"

// Limits of https://learn.microsoft.com/azure/aks/quotas-skus-regions
const (
	maxNodes    = 1000
	minPods     = 10
	mostPods    = 250
	maxPerGroup = 100 // pools of a cluster
)

// kinds are the fields that are interpreted.
var kinds = map[string]shape.Kind{
	"count": shape.Number, "vmSize": shape.String, "osDiskSizeGB": shape.Number, "maxPods": shape.Number, "osType": shape.String, "type": shape.String,
	"mode": shape.String, "orchestratorVersion": shape.String, "vnetSubnetID": shape.String, "podSubnetID": shape.String, "availabilityZones": shape.Array,
	"nodeTaints": shape.Array, "nodeLabels": shape.Object, "tags": shape.Object, "enableAutoScaling": shape.Boolean, "enableNodePublicIP": shape.Boolean,
	"enableEncryptionAtHost": shape.Boolean, "enableUltraSSD": shape.Boolean, "enableFIPS": shape.Boolean, "scaleSetPriority": shape.String,
	"upgradeSettings": shape.Object, "osSKU": shape.String, "osDiskType": shape.String,
}

// CheckKinds reports values of wrong kinds, and tells whether there were none. Complete and Validate need that.
func CheckKinds(w *arm.Write, p shape.Doc, target string) bool {
	return shape.CheckKinds(w, p, target, kinds)
}

// fixed may not change once a pool exists.
var fixed = []string{"vmSize", "osDiskSizeGB", "osDiskType", "maxPods", "osType", "type", "vnetSubnetID", "scaleSetPriority"}

// later are things of AKS that Cloister does not do, each with what it is.
var later = []struct{ field, what string }{
	{"enableAutoScaling", "the cluster autoscaler"}, {"enableNodePublicIP", "public addresses of nodes"}, {"enableFIPS", "FIPS images"},
	{"enableEncryptionAtHost", "encryption at host"}, {"enableUltraSSD", "ultra disks"},
}

// Validate reports every mistake in a completed pool. target is the path of the pool's
// fields in the request; old is nil on create; clusterVersion is the cluster's version of Kubernetes.
func Validate(w *arm.Write, name string, p, old shape.Doc, target, clusterVersion string, versions shape.Versions) {
	fail := func(code, field, format string, args ...any) {
		w.Fail(code, target+field, "Agent pool '%s': "+format, append([]any{name}, args...)...)
	}
	if !Names.MatchString(name) {
		fail("InvalidParameter", "name", "the name must be %s.", NameRule)
	}
	if _, ok := sizes.Lookup(p.Str("vmSize")); !ok {
		fail("VMSizeNotSupported", "vmSize", "the virtual machine size '%s' is not available. Sizes are, for example: %s. `az vm list-sizes` lists all.", p.Str("vmSize"), sizes.Some())
	}
	least := 0
	if strings.EqualFold(p.Str("mode"), "System") {
		least = 1
	}
	if n := p.Int("count"); n < least || n > maxNodes {
		fail("InvalidParameter", "count", "the number of nodes must be %d to %d, and is %d.", least, maxNodes, n)
	}
	if n := p.Int("maxPods"); n < minPods || n > mostPods {
		fail("InvalidParameter", "maxPods", "the number of pods of a node must be %d to %d, and is %d.", minPods, mostPods, n)
	}
	if n := p.Int("osDiskSizeGB"); n < 30 || n > 2048 {
		fail("InvalidParameter", "osDiskSizeGB", "the size of the disk must be 30 to 2048 GB, and is %d.", n)
	}
	oneOf := func(field string, allowed ...string) {
		for _, a := range allowed {
			if strings.EqualFold(p.Str(field), a) {
				p.Set(field, a)
				return
			}
		}
		fail("InvalidParameter", field, "%s must be %s, and is '%s'.", field, strings.Join(allowed, " or "), p.Str(field))
	}
	oneOf("mode", "System", "User")
	oneOf("type", "VirtualMachineScaleSets")
	if !strings.EqualFold(p.Str("osType"), "Linux") {
		fail("FeatureNotSupported", "osType", "nodes run Linux only.")
	}
	if s := p.Str("scaleSetPriority"); s != "" && !strings.EqualFold(s, "Regular") {
		fail("FeatureNotSupported", "scaleSetPriority", "spot nodes are not offered yet. Leave scaleSetPriority out, or set it to Regular.")
	}
	if len(p.List("availabilityZones")) > 0 {
		fail("AvailabilityZoneNotSupported", "availabilityZones", "the region has no availability zones. Leave the zones out.")
	}
	if p.Str("podSubnetID") != "" {
		fail("FeatureNotSupported", "podSubnetID", "a subnet of their own for pods is not offered yet. Pods get addresses of the nodes' subnet.")
	}
	for _, l := range later {
		if p.Bool(l.field) {
			fail("FeatureNotSupported", l.field, "%s is not offered yet. Leave %s out, or set it to false.", l.what, l.field)
		}
	}
	validateVersion(fail, p, old, clusterVersion, versions)
	validateLabels(fail, p)
	if old != nil {
		for _, field := range fixed {
			if !same(old.At(field), p.At(field)) {
				fail("PropertyChangeNotAllowed", field, "changing property '%s' is not allowed. Make another pool, move the pods there, and delete this one.", field)
			}
		}
	}
}

func validateVersion(fail func(code, field, format string, args ...any), p, old shape.Doc, clusterVersion string, versions shape.Versions) {
	asked := p.Str("orchestratorVersion")
	version, ok := versions.Resolve(asked)
	if old != nil && old.Str("orchestratorVersion") == asked && old.Str("currentOrchestratorVersion") != "" {
		version, ok = old.Str("currentOrchestratorVersion"), true // also when it is offered no more
	}
	switch {
	case !ok && clusterVersion == "": // the cluster's own version is wrong, and reported
	case !ok:
		fail("AgentPoolK8sVersionNotSupported", "orchestratorVersion", "Kubernetes version %s is not supported. Versions are: %s.", asked, versions)
	case clusterVersion != "" && shape.Compare(version, clusterVersion) > 0:
		fail("NodePoolMcVersionIncompatible", "orchestratorVersion", "Kubernetes version %s is newer than the cluster's, %s. Upgrade the cluster first.", version, clusterVersion)
	default:
		// 1.37 stays as it was written; the patch that it meant is kept beside it.
		p.Set("currentOrchestratorVersion", version)
	}
}

var (
	labelName = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	labelText = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
	effects   = map[string]bool{"NoSchedule": true, "PreferNoSchedule": true, "NoExecute": true}
)

func validateLabels(fail func(code, field, format string, args ...any), p shape.Doc) {
	for key, v := range p.Doc("nodeLabels") {
		text, ok := v.(string)
		switch {
		case !ok || !labelName.MatchString(key) || !labelText.MatchString(text):
			fail("InvalidParameter", "nodeLabels", "the label '%s=%v' is not one of Kubernetes: a name (with a DNS prefix and a slash before it, if any) and a value of up to 63 letters, digits, '-', '_' and '.'.", key, v)
		case strings.HasPrefix(key, "kubernetes.azure.com/") || strings.Contains(key, "kubernetes.io/"):
			fail("InvalidParameter", "nodeLabels", "the label '%s' is reserved for the system.", key)
		}
	}
	for i, v := range p.List("nodeTaints") {
		if err := checkTaint(v); err != "" {
			fail("InvalidParameter", fmt.Sprintf("nodeTaints[%d]", i), "%s", err)
		}
	}
}

func checkTaint(v any) string {
	text, _ := v.(string)
	rest, effect, ok := strings.Cut(text, ":")
	key, value, _ := strings.Cut(rest, "=")
	if !ok || !effects[effect] || !labelName.MatchString(key) || !labelText.MatchString(value) {
		return fmt.Sprintf("the taint '%v' must be key=value:Effect, with the effect NoSchedule, PreferNoSchedule or NoExecute.", v)
	}
	return ""
}

// same compares values of JSON documents; ids and names without regard to case, and nothing equals "" and false.
func same(a, b any) bool {
	if a == nil {
		a = ""
	}
	if b == nil {
		b = ""
	}
	return strings.EqualFold(fmt.Sprint(a), fmt.Sprint(b))
}

package agentpools

import (
	"cloister.dev/cloister/internal/provider/compute/sizes"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

// DefaultMaxPods is the number of pods of a node with Azure CNI whose pool says nothing.
const DefaultMaxPods = 30

// computed are the properties that clients send back as they got them, and that only Cloister knows.
var computed = []string{
	"name", "id", "provisioningState", "currentOrchestratorVersion", "nodeImageVersion", "powerState", "eTag", "status", "creationData",
}

// Complete brings a pool's properties into the form that is stored: what the client left
// out or sent empty comes from old (nil on create), then from Azure's defaults.
func Complete(p, old shape.Doc, version string) {
	for _, name := range computed {
		p.Remove(name)
	}
	for _, empty := range []string{"vmSize", "orchestratorVersion", "vnetSubnetID", "osSKU", "osDiskType"} {
		if p.Str(empty) == "" {
			p.Remove(empty)
		}
	}
	for _, zero := range []string{"osDiskSizeGB", "maxPods"} {
		if p.Int(zero) == 0 && (p[zero] == nil || isNumber(p[zero])) {
			p.Remove(zero)
		}
	}
	for name, v := range p {
		if v == nil {
			delete(p, name)
		}
	}
	if old != nil {
		p.Keep(old)
	}
	p.Default("vmSize", sizes.Default)
	if s, ok := sizes.Lookup(p.Str("vmSize")); ok {
		p.Set("vmSize", s.Name)
	}
	p.Missing("count", 1)
	p.Default("osDiskSizeGB", 128)
	p.Default("osDiskType", "Managed")
	p.Default("kubeletDiskType", "OS")
	p.Default("maxPods", DefaultMaxPods)
	p.Default("type", "VirtualMachineScaleSets")
	p.Default("mode", "User")
	p.Default("osType", "Linux")
	p.Default("osSKU", "Ubuntu")
	p.Default("orchestratorVersion", version)
	p.Default("scaleDownMode", "Delete")
	p.Default("workloadRuntime", "OCIContainer")
	p.Missing("enableAutoScaling", false)
	p.Missing("enableNodePublicIP", false)
	p.Missing("enableEncryptionAtHost", false)
	p.Missing("enableUltraSSD", false)
	p.Missing("enableFIPS", false)
	p.Missing("upgradeSettings", map[string]any{})
	if upgrade, ok := p["upgradeSettings"].(map[string]any); ok && upgrade["maxSurge"] == nil {
		upgrade["maxSurge"] = "10%"
	}
}

func isNumber(v any) bool {
	switch v.(type) {
	case float64, int, int64:
		return true
	}
	return false
}

package managedclusters

import (
	"fmt"
	"strings"

	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

// fixed may not change once a cluster exists.
var fixed = []string{
	"dnsPrefix", "fqdnSubdomain", "nodeResourceGroup", "enableRBAC", "networkProfile.networkPlugin", "networkProfile.networkPluginMode", "networkProfile.serviceCidr",
	"networkProfile.dnsServiceIP", "networkProfile.loadBalancerSku", "networkProfile.outboundType", "networkProfile.networkPolicy",
	"apiServerAccessProfile.enablePrivateCluster", "apiServerAccessProfile.enableVnetIntegration",
}

// checkFixed reports changes that AKS does not make either, and sorts out the version.
func (a *admission) checkFixed() {
	w := a.w
	for _, path := range fixed {
		if !strings.EqualFold(text(a.old.At(path)), text(a.props.At(path))) {
			w.Fail("PropertyChangeNotAllowed", at+path, "Changing property '%s' is not allowed: it is '%s'. Make another cluster.", at+path, text(a.old.At(path)))
			a.props.Set(path, a.old.At(path)) // no second complaint about the same
		}
	}
	if shape.Region(w.Old.Location()) != shape.Region(w.New.Location()) {
		w.Fail("PropertyChangeNotAllowed", "location", "Changing property 'location' is not allowed: the cluster is in %s.", w.Old.Location())
	}
	const zone = "apiServerAccessProfile.privateDNSZone"
	if now := a.props.Str(zone); !strings.EqualFold(a.old.Str(zone), now) && now != shape.ZoneNone {
		w.Fail("PropertyChangeNotAllowed", at+zone, "The private DNS zone can only be changed to none, from '%s'.", a.old.Str(zone))
	}
	a.checkUpgrade()
}

func (a *admission) checkUpgrade() {
	const field = "kubernetesVersion"
	asked, current := a.props.Str(field), a.old.Str("currentKubernetesVersion")
	if asked == a.old.Str(field) {
		a.props.Set("currentKubernetesVersion", current)
		return
	}
	version, ok := a.Versions.Resolve(asked)
	if asked == current {
		version, ok = current, true
	}
	a.props.Set("currentKubernetesVersion", version)
	switch {
	case !ok:
		a.w.Fail("K8sVersionNotSupported", at+field, "The specified Kubernetes version %s is not supported. Versions are: %s. `az aks get-upgrades` lists those that the cluster can go to.", asked, a.Versions)
	case shape.Compare(version, current) < 0:
		a.w.Fail("OperationNotAllowed", at+field, "The cluster runs Kubernetes %s: going back to %s is not possible.", current, version)
	case shape.Minor(version) > shape.Minor(current)+1:
		a.w.Fail("OperationNotAllowed", at+field, "The cluster runs Kubernetes %s: an upgrade goes to the next minor version, not to %s. `az aks get-upgrades` lists those that it can go to.", current, version)
	}
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

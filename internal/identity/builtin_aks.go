package identity

const managedClusters = "Microsoft.ContainerService/managedClusters/"

// aksAround is what the roles inside a cluster may read outside it.
var aksAround = []string{
	"Microsoft.Authorization/*/read", "Microsoft.Resources/subscriptions/operationresults/read",
	"Microsoft.Resources/subscriptions/read", "Microsoft.Resources/subscriptions/resourceGroups/read",
}

var userCredential = managedClusters + "listClusterUserCredential/action"

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/containers
var aksRoles = []Role{
	role("ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8", "Azure Kubernetes Service Contributor Role", "Manages managed clusters.",
		"Microsoft.Authorization/*/read", "Microsoft.ContainerService/locations/*", "Microsoft.ContainerService/managedClusters/*",
		"Microsoft.ContainerService/managedclustersnapshots/*", "Microsoft.ContainerService/snapshots/*",
		"Microsoft.Insights/alertRules/*", "Microsoft.Resources/deployments/*", "Microsoft.Resources/subscriptions/resourceGroups/read"),
	role(RoleAKSClusterAdmin, "Azure Kubernetes Service Cluster Admin Role", "Gets the administrator's credentials of a cluster.",
		under(managedClusters, "listClusterAdminCredential/action", "accessProfiles/listCredential/action", "read", "runcommand/action")...),
	role(RoleAKSClusterUser, "Azure Kubernetes Service Cluster User Role", "Gets the user's credentials of a cluster.",
		userCredential, managedClusters+"read"),
	role("1afdec4b-e479-420e-99e7-f82237c7c5e6", "Azure Kubernetes Service Cluster Monitoring User", "Gets the monitoring user's credentials of a cluster.",
		under(managedClusters, "listClusterMonitoringUserCredential/action", "read")...),
	role("3498e952-d568-435e-9b2c-8d77e338d7f7", "Azure Kubernetes Service RBAC Admin", "Manages what is in a cluster or namespace, except quotas and namespaces.",
		join(aksAround, []string{userCredential})...).
		data(managedClusters + "*").
		notData(under(managedClusters, "resourcequotas/write", "resourcequotas/delete", "namespaces/write", "namespaces/delete")...),
	role("b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b", "Azure Kubernetes Service RBAC Cluster Admin", "Manages everything in a cluster.",
		join(aksAround, []string{userCredential})...).data(managedClusters + "*"),
	role("7f6c6a51-bcf8-42ba-9220-52d62157d7db", "Azure Kubernetes Service RBAC Reader", "Sees most objects of a cluster or namespace, but no secrets and no roles.",
		aksAround...).data(join(under(managedClusters, aksOnlyRead...), suffixed("/read", aksObjects...))...),
	role("a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb", "Azure Kubernetes Service RBAC Writer", "Changes most objects of a cluster or namespace, secrets too, but no roles.",
		aksAround...).data(join(under(managedClusters, aksOnlyRead...), suffixed("/*", append(aksObjects, "secrets")...),
		under(managedClusters+"coordination.k8s.io/leases/", "read", "write", "delete"))...),
}

// aksOnlyRead is what neither reader nor writer changes.
var aksOnlyRead = []string{
	"apps/controllerrevisions/read", "discovery.k8s.io/endpointslices/read", "events.k8s.io/events/read", "limitranges/read",
	"metrics.k8s.io/pods/read", "metrics.k8s.io/nodes/read", "namespaces/read", "resourcequotas/read",
}

// aksObjects is what the reader reads and the writer changes.
var aksObjects = []string{
	"apps/daemonsets", "apps/deployments", "apps/replicasets", "apps/statefulsets", "autoscaling/horizontalpodautoscalers",
	"batch/cronjobs", "batch/jobs", "configmaps", "endpoints", "events", "extensions/daemonsets", "extensions/deployments",
	"extensions/ingresses", "extensions/networkpolicies", "extensions/replicasets", "networking.k8s.io/ingresses",
	"networking.k8s.io/networkpolicies", "persistentvolumeclaims", "pods", "policy/poddisruptionbudgets",
	"replicationcontrollers", "serviceaccounts", "services",
}

func suffixed(suffix string, names ...string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = managedClusters + n + suffix
	}
	return out
}

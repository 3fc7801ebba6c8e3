package identity

import (
	"encoding/json"
	"fmt"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

// Ids of built-in roles, equal in every tenant:
// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
const (
	RoleOwner                     = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	RoleContributor               = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	RoleReader                    = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	RoleUserAccessAdministrator   = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
	RoleNetworkContributor        = "4d97b98b-1d4f-4787-a291-c67834d212e7"
	RolePrivateDNSZoneContributor = "b12aa53e-6015-4669-85d0-8515ebb3ae7f"
	RoleManagedIdentityOperator   = "f1a07417-d97a-45cb-824c-7a7467783830"
	RoleAKSClusterAdmin           = "0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8"
	RoleAKSClusterUser            = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"
)

// BuiltInRoles lists the roles that every tenant has. The caller changes nothing in them.
func BuiltInRoles() []Role { return builtIn }

// common is what many roles may read and do around their own resources.
var common = []string{
	"Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*", "Microsoft.Resources/deployments/*",
	"Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Support/*",
}

func role(id, name, description string, actions ...string) Role {
	return Role{ID: id, Name: name, Description: description, Scopes: []string{"/"}, Permissions: []Permission{{
		Actions: actions, NotActions: []string{}, DataActions: []string{}, NotDataActions: []string{},
	}}}
}

func (r Role) not(actions ...string) Role {
	r.Permissions[0].NotActions = actions
	return r
}

func (r Role) data(actions ...string) Role {
	r.Permissions[0].DataActions = actions
	return r
}

func (r Role) notData(actions ...string) Role {
	r.Permissions[0].NotDataActions = actions
	return r
}

// under puts a prefix before every name.
func under(prefix string, names ...string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

func join(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

var builtIn = rolesOf(generalRoles, networkRoles, computeRoles, aksRoles)

func rolesOf(lists ...[]Role) []Role {
	var out []Role
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

var generalRoles = []Role{
	role(RoleOwner, "Owner", "Manages everything, including who has access.", "*"),
	role(RoleContributor, "Contributor", "Manages everything, except who has access.", "*").not(
		"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action",
		"Microsoft.Blueprint/blueprintAssignments/write", "Microsoft.Blueprint/blueprintAssignments/delete",
		"Microsoft.Compute/galleries/share/action", "Microsoft.Purview/consents/write", "Microsoft.Purview/consents/delete",
		"Microsoft.Resources/deploymentStacks/manageDenySetting/action",
		"Microsoft.Subscription/cancel/action", "Microsoft.Subscription/enable/action"),
	role(RoleReader, "Reader", "Sees everything, changes nothing.", "*/read"),
	role(RoleUserAccessAdministrator, "User Access Administrator", "Manages who has access.",
		"*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"),
	role("f58310d9-a9f6-439a-9e8d-f62e7b41a168", "Role Based Access Control Administrator", "Manages who has access by role assignments.",
		"Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete", "*/read", "Microsoft.Support/*"),
	role(RoleManagedIdentityOperator, "Managed Identity Operator", "Reads user-assigned identities and gives them to resources.", join(
		under("Microsoft.ManagedIdentity/userAssignedIdentities/", "*/read", "*/assign/action"), common)...),
	role("e40ec5ca-96e0-45a2-b4ff-59039f2c2b59", "Managed Identity Contributor", "Manages user-assigned identities.", join(
		under("Microsoft.ManagedIdentity/userAssignedIdentities/", "read", "write", "delete",
			"federatedIdentityCredentials/read", "federatedIdentityCredentials/write", "federatedIdentityCredentials/delete", "revokeTokens/action"), common)...),
}

var networkRoles = []Role{
	role(RoleNetworkContributor, "Network Contributor", "Manages networks, not who has access to them.", join(
		[]string{"Microsoft.Network/*", "Microsoft.ResourceHealth/availabilityStatuses/read"}, common)...),
	role(RolePrivateDNSZoneContributor, "Private DNS Zone Contributor", "Manages private DNS zones, not the networks they are linked to.", join(
		under("Microsoft.Network/", "privateDnsZones/*", "privateDnsOperationResults/*", "privateDnsOperationStatuses/*",
			"virtualNetworks/read", "virtualNetworks/join/action"), common)...),
	role("befefa01-2a29-4197-83a8-272ff33ce314", "DNS Zone Contributor", "Manages DNS zones and their records.", join(
		[]string{"Microsoft.Network/dnsZones/*", "Microsoft.ResourceHealth/availabilityStatuses/read"}, common)...),
}

var computeRoles = []Role{
	role("9980e02c-c2be-4d73-94e8-173b1dc7cf3c", "Virtual Machine Contributor", "Manages virtual machines, not the network or storage they use.", join(
		under("Microsoft.Compute/", "availabilitySets/*", "locations/*", "virtualMachines/*", "virtualMachineScaleSets/*",
			"cloudServices/*", "disks/write", "disks/read", "disks/delete"),
		[]string{"Microsoft.DevTestLab/schedules/*"},
		under("Microsoft.Network/", "applicationGateways/backendAddressPools/join/action", "loadBalancers/backendAddressPools/join/action",
			"loadBalancers/inboundNatPools/join/action", "loadBalancers/inboundNatRules/join/action", "loadBalancers/probes/join/action",
			"loadBalancers/read", "locations/*", "networkInterfaces/*", "networkSecurityGroups/join/action", "networkSecurityGroups/read",
			"publicIPAddresses/join/action", "publicIPAddresses/read", "virtualNetworks/read", "virtualNetworks/subnets/join/action"),
		under("Microsoft.RecoveryServices/", "locations/*", "Vaults/backupFabrics/backupProtectionIntent/write",
			"Vaults/backupFabrics/protectionContainers/protectedItems/*/read", "Vaults/backupFabrics/protectionContainers/protectedItems/read",
			"Vaults/backupFabrics/protectionContainers/protectedItems/write", "Vaults/backupPolicies/read", "Vaults/backupPolicies/write",
			"Vaults/read", "Vaults/usages/read", "Vaults/write"),
		[]string{"Microsoft.ResourceHealth/availabilityStatuses/read", "Microsoft.SerialConsole/serialPorts/connect/action", "Microsoft.SqlVirtualMachine/*",
			"Microsoft.Storage/storageAccounts/listKeys/action", "Microsoft.Storage/storageAccounts/read"}, common)...),
}

// CustomRole reads a role definition that is a resource.
func CustomRole(r *arm.Resource) (Role, error) {
	var p struct {
		RoleName         string       `json:"roleName"`
		Description      string       `json:"description"`
		AssignableScopes []string     `json:"assignableScopes"`
		Permissions      []Permission `json:"permissions"`
	}
	b, err := json.Marshal(r.Properties())
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return Role{}, fmt.Errorf("role definition %s: %w", r.ID, err)
	}
	return Role{ID: strings.ToLower(r.Name), Name: p.RoleName, Description: p.Description, Custom: true, Scopes: p.AssignableScopes, Permissions: p.Permissions}, nil
}

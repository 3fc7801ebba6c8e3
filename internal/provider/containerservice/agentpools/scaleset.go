package agentpools

import (
	"context"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

// ensureScaleSet writes the pool's scale set as AKS shows it. Its instances are the pool's nodes.
func ensureScaleSet(ctx context.Context, d shape.Deps, c shape.Cluster, p shape.Pool) error {
	id := c.ScaleSet(p.Name)
	have, err := d.Read().Get(ctx, id)
	if err != nil && !arm.IsNotFound(err) {
		return err
	}
	if err == nil && shape.Doc(have.Body).Int("sku.capacity") == p.Count() && have.State != "Failed" {
		return nil
	}
	_, err = d.Kernel.Write(ctx, arm.System, id, scaleSet(c, p), c.ID)
	return err
}

func scaleSet(c shape.Cluster, p shape.Pool) map[string]any {
	name := c.ScaleSetName(p.Name)
	tags := map[string]any{
		"aks-managed-poolName": p.Name, "aks-managed-orchestrator": "Kubernetes:" + p.Props.Str("currentOrchestratorVersion"), "aks-managed-resourceNameSuffix": c.Digits,
		"aks-managed-creationSource": "vmssclient-" + name,
	}
	for k, v := range p.Props.Doc("tags") {
		tags[k] = v
	}
	return map[string]any{
		"location": c.Location(), "tags": tags,
		"sku":      map[string]any{"name": p.Props.Str("vmSize"), "tier": "Standard", "capacity": p.Count()},
		"identity": map[string]any{"type": "UserAssigned", "userAssignedIdentities": map[string]any{c.KubeletIdentity(): map[string]any{}}},
		"properties": map[string]any{
			"singlePlacementGroup": false, "orchestrationMode": "Uniform", "overprovision": false, "platformFaultDomainCount": 1,
			"upgradePolicy": map[string]any{"mode": "Manual"},
			"virtualMachineProfile": map[string]any{
				"osProfile": map[string]any{"computerNamePrefix": name, "adminUsername": adminUser(c), "linuxConfiguration": map[string]any{"disablePasswordAuthentication": true}},
				"storageProfile": map[string]any{"osDisk": map[string]any{
					"osType": "Linux", "createOption": "FromImage", "caching": "ReadWrite", "diskSizeGB": p.Props.Int("osDiskSizeGB"),
					"managedDisk": map[string]any{"storageAccountType": "Premium_LRS"},
				}},
				"networkProfile": map[string]any{"networkInterfaceConfigurations": []any{map[string]any{
					"name": name, "properties": map[string]any{
						"primary": true, "enableAcceleratedNetworking": false, "enableIPForwarding": true,
						"networkSecurityGroup": map[string]any{"id": c.SecurityGroup()},
						"ipConfigurations": []any{map[string]any{"name": "ipconfig1", "properties": map[string]any{
							"primary": true, "subnet": map[string]any{"id": p.SubnetID(c)}, "privateIPAddressVersion": "IPv4",
						}}},
					},
				}}},
			},
		},
	}
}

func adminUser(c shape.Cluster) string {
	if u := c.Props.Str("linuxProfile.adminUsername"); u != "" {
		return u
	}
	return "azureuser"
}

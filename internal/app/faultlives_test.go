package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// chapter is what clients ask for before everything comes to rest.
type chapter []func(w *world) error

const (
	lifeGroup   = "/resourceGroups/rg"
	lifeNetwork = lifeGroup + "/providers/Microsoft.Network/virtualNetworks/v"
	lifeCluster = lifeGroup + "/providers/Microsoft.ContainerService/managedClusters/c"
	lifeNet     = lifeGroup + "/providers/Microsoft.Network"
)

// put writes a resource below the subscription; $SUB stands for the subscription's id.
func put(id, body string) func(w *world) error {
	return func(w *world) error {
		var doc map[string]any
		if err := json.Unmarshal([]byte(w.expand(body)), &doc); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		_, err := w.server.Write(w.t.Context(), arm.System, w.expand("$SUB"+id), doc, "")
		return err
	}
}

func remove(id string) func(w *world) error {
	return func(w *world) error {
		_, err := w.server.Delete(w.t.Context(), arm.System, w.expand("$SUB"+id))
		if arm.IsNotFound(err) {
			return nil // it was done the first time
		}
		return err
	}
}

func (w *world) expand(text string) string {
	return strings.ReplaceAll(text, "$SUB", "/subscriptions/"+w.admin.SubscriptionID)
}

// session opens a session with an interface in a subnet, for this process or for one that has ended.
func openSession(id string, lives bool) func(w *world) error {
	return func(w *world) error {
		subnet := resourceid.MustParse(w.expand("$SUB" + lifeNetwork + "/subnets/s"))
		s := session{ID: id, PID: os.Getpid(), Started: 1, Subnet: subnet.Key()}
		if lives {
			var err error
			if s.Started, err = processStart(s.PID); err != nil {
				return err
			}
		}
		_, err := w.sessions.take(w.t.Context(), subnet, s)
		if errors.Is(err, store.ErrConflict) {
			return nil // it was done the first time
		}
		return err
	}
}

func closeSession(id string) func(w *world) error {
	return func(w *world) error { return w.sessions.end(w.t.Context(), sessionPrefix+id) }
}

func lifeClusterBody(count string) string {
	return `{"location":"eastus","identity":{"type":"SystemAssigned"},"properties":{"kubernetesVersion":"","dnsPrefix":"c-rg-222222",
"agentPoolProfiles":[{"count":` + count + `,"vmSize":"","vnetSubnetID":"$SUB` + lifeNetwork + `/subnets/s","osType":"Linux","type":"VirtualMachineScaleSets","mode":"System","orchestratorVersion":"","name":"nodepool1"}],
"networkProfile":{"networkPlugin":"azure","serviceCidr":"10.2.0.0/24","dnsServiceIP":"10.2.0.10","outboundType":"loadBalancer","loadBalancerSku":"standard"},
"apiServerAccessProfile":{"authorizedIPRanges":[],"enablePrivateCluster":true}}}`
}

// lifeTemplate makes NICs in a loop, one of them by a deployment inside.
const lifeTemplate = `{"properties":{"mode":"Incremental","parameters":{"secret":{"value":"s"}},"template":{"$schema":"deploymentTemplate.json","contentVersion":"1",
"parameters":{"secret":{"type":"securestring"}},"variables":{"subnet":"[resourceId('Microsoft.Network/virtualNetworks/subnets', 'made', 's')]"},"resources":[
{"type":"Microsoft.Network/virtualNetworks","apiVersion":"2024-01-01","name":"made","location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.9.0.0/16"]},"subnets":[{"name":"s","properties":{"addressPrefix":"10.9.0.0/24"}}]}},
{"type":"Microsoft.Network/networkInterfaces","apiVersion":"2024-01-01","name":"[concat('n', copyIndex())]","copy":{"name":"l","count":2},"location":"eastus","dependsOn":["made"],"properties":{"ipConfigurations":[{"name":"i","properties":{"subnet":{"id":"[variables('subnet')]"}}}]}},
{"type":"Microsoft.Resources/deployments","apiVersion":"2024-03-01","name":"inside","dependsOn":["l"],"properties":{"mode":"Incremental","template":{"$schema":"deploymentTemplate.json","contentVersion":"1","resources":[
{"type":"Microsoft.Network/networkInterfaces","apiVersion":"2024-01-01","name":"n9","location":"eastus","properties":{"ipConfigurations":[{"name":"i","properties":{"subnet":{"id":"[variables('subnet')]"}}}]}}]}}}],
"outputs":{"mac":{"type":"string","value":"[reference('n1').macAddress]"}}}}}`

var surroundings = chapter{
	put(lifeGroup, `{"location":"eastus"}`),
	put(lifeNetwork, `{"location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.240.0.0/16"]},"subnets":[{"name":"s","properties":{"addressPrefix":"10.240.0.0/22"}}]}}`),
}

// lives are stories of resources from nothing to nothing. Together they call every reconciler.
var lives = map[string][]chapter{
	"cluster": {
		surroundings,
		{put(lifeCluster, lifeClusterBody("2"))},
		{put(lifeCluster, lifeClusterBody("1"))},
		{put(lifeCluster+"/agentPools/np2", `{"properties":{"count":1,"mode":"User"}}`)},
		{remove(lifeCluster)},
		{remove(lifeGroup)},
	},
	"cluster in its own network goes with its group": {
		{put(lifeGroup, `{"location":"eastus"}`)},
		{put(lifeCluster, strings.Replace(lifeClusterBody("1"), `"vnetSubnetID":"$SUB`+lifeNetwork+`/subnets/s",`, "", 1))},
		{remove(lifeGroup)},
	},
	"endpoint of a person's own": {
		surroundings,
		{
			put(lifeCluster, lifeClusterBody("1")),
			put(lifeNet+"/virtualNetworks/w", `{"location":"eastus","properties":{"addressSpace":{"addressPrefixes":["172.20.0.0/16"]},"subnets":[{"name":"pe","properties":{"addressPrefix":"172.20.0.0/24"}}]}}`),
		},
		{put(lifeNet+"/privateEndpoints/mine", `{"location":"eastus","properties":{"subnet":{"id":"$SUB`+lifeNet+`/virtualNetworks/w/subnets/pe"},
"privateLinkServiceConnections":[{"name":"c","properties":{"privateLinkServiceId":"$SUB`+lifeCluster+`","groupIds":["management"]}}]}}`),
			put(lifeNet+"/privateDnsZones/privatelink.eastus.azmk8s.io", `{"location":"global"}`)},
		{put(lifeNet+"/privateEndpoints/mine/privateDnsZoneGroups/default", `{"properties":{"privateDnsZoneConfigs":[{"name":"z","properties":{"privateDnsZoneId":"$SUB`+lifeNet+`/privateDnsZones/privatelink.eastus.azmk8s.io"}}]}}`)},
		{remove(lifeNet + "/privateEndpoints/mine")},
		{remove(lifeGroup)},
	},
	"deployment": {
		surroundings,
		{put(lifeGroup+"/providers/Microsoft.Resources/deployments/d", lifeTemplate)},
		{put(lifeGroup+"/providers/Microsoft.Resources/deployments/d", strings.Replace(lifeTemplate, "Incremental", "Complete", 1))},
		{remove(lifeGroup)},
	},
	"network": {
		surroundings,
		{
			put(lifeNet+"/networkSecurityGroups/g", `{"location":"eastus","properties":{"securityRules":[{"name":"r","properties":{"priority":100,"direction":"Inbound","access":"Allow","protocol":"Tcp","sourceAddressPrefix":"*","destinationAddressPrefix":"*","sourcePortRange":"*","destinationPortRange":"22"}}]}}`),
			put(lifeNet+"/publicIPAddresses/p", `{"location":"eastus","sku":{"name":"Standard"},"properties":{"publicIPAllocationMethod":"Static"}}`),
			put(lifeNet+"/networkSecurityGroups/g/securityRules/own", `{"properties":{"priority":110,"direction":"Outbound","access":"Deny","protocol":"*","sourceAddressPrefix":"*","destinationAddressPrefix":"Internet","sourcePortRange":"*","destinationPortRange":"*"}}`),
			put(lifeNetwork+"/subnets/t", `{"properties":{"addressPrefix":"10.240.8.0/24","networkSecurityGroup":{"id":"$SUB`+lifeNet+`/networkSecurityGroups/g"}}}`),
		},
		{
			put(lifeNet+"/networkInterfaces/n", `{"location":"eastus","properties":{"ipConfigurations":[{"name":"ipconfig1","properties":{"subnet":{"id":"$SUB`+lifeNetwork+`/subnets/t"},"privateIPAllocationMethod":"Dynamic"}}]}}`),
			put(lifeNet+"/privateDnsZones/z.example", `{"location":"global"}`),
			openSession("0a0b0c0d", true), openSession("0e0f0e0f", false),
		},
		{
			put(lifeNet+"/privateDnsZones/z.example/virtualNetworkLinks/l", `{"location":"global","properties":{"virtualNetwork":{"id":"$SUB`+lifeNetwork+`"},"registrationEnabled":false}}`),
			put(lifeNet+"/privateDnsZones/z.example/A/www", `{"properties":{"ttl":60,"aRecords":[{"ipv4Address":"10.240.0.4"}]}}`),
			put(lifeNet+"/privateDnsZones/z.example/CNAME/w", `{"properties":{"ttl":60,"cnameRecord":{"cname":"www.z.example."}}}`),
			put("/providers/Microsoft.Authorization/roleDefinitions/11111111-2222-3333-4444-555555555555", `{"properties":{"roleName":"own","description":"","type":"CustomRole","permissions":[{"actions":["*/read"],"notActions":[]}],"assignableScopes":["$SUB"]}}`),
			put(lifeNetwork+"/providers/Microsoft.Authorization/locks/keep", `{"properties":{"level":"CanNotDelete"}}`),
			put(lifeGroup+"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/someone", `{"location":"eastus"}`),
		},
		{remove("/providers/Microsoft.Authorization/roleDefinitions/11111111-2222-3333-4444-555555555555"), closeSession("0a0b0c0d"), remove(lifeNet + "/privateDnsZones/z.example/A/www"), remove(lifeNet + "/networkInterfaces/n")},
		{remove(lifeGroup)},
	},
}

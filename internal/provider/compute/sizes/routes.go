package sizes

import (
	"context"
	"strconv"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

// Routes are the questions about sizes: by region as `az vm list-sizes` asks, and of
// the whole subscription as `az vm list-skus`, Terraform and the portal ask.
func Routes(regions []string) []arm.Route {
	return []arm.Route{
		{
			Method: "GET", Pattern: "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/vmSizes",
			Permission: "Microsoft.Compute/locations/vmSizes/read",
			Serve: func(_ context.Context, r *arm.RouteRequest) (*arm.Response, error) {
				if err := known(regions, r.Params["location"]); err != nil {
					return nil, err
				}
				value := []any{}
				for _, s := range All() {
					value = append(value, map[string]any{
						"name": s.Name, "numberOfCores": s.Cores, "memoryInMB": s.MemoryMiB,
						"maxDataDiskCount": s.DataDisks, "osDiskSizeInMB": 1047552, "resourceDiskSizeInMB": s.Ephemeral,
					})
				}
				return &arm.Response{Body: map[string]any{"value": value}}, nil
			},
		},
		{
			Method: "GET", Pattern: "/subscriptions/{subscription}/providers/Microsoft.Compute/skus",
			Permission: "Microsoft.Compute/skus/read",
			Serve: func(_ context.Context, r *arm.RouteRequest) (*arm.Response, error) {
				value := []any{}
				for _, region := range regions {
					if !wants(r.Query["$filter"], region) {
						continue
					}
					for _, s := range All() {
						value = append(value, sku(s, region))
					}
				}
				return &arm.Response{Body: map[string]any{"value": value}}, nil
			},
		},
	}
}

// sku is the size in the shape of https://learn.microsoft.com/rest/api/compute/resource-skus/list.
func sku(s Size, region string) map[string]any {
	capability := func(name, value string) map[string]any { return map[string]any{"name": name, "value": value} }
	return map[string]any{
		"resourceType": "virtualMachines", "name": s.Name, "tier": "Standard",
		"size": strings.TrimPrefix(s.Name, "Standard_"), "family": s.Family,
		"locations": []any{region}, "restrictions": []any{},
		"locationInfo": []any{map[string]any{"location": region, "zones": []any{}, "zoneDetails": []any{}}},
		"capabilities": []any{
			capability("vCPUs", strconv.Itoa(s.Cores)), capability("vCPUsAvailable", strconv.Itoa(s.Cores)),
			capability("MemoryGB", strconv.FormatFloat(float64(s.MemoryMiB)/1024, 'g', -1, 64)),
			capability("MaxDataDiskCount", strconv.Itoa(s.DataDisks)), capability("CpuArchitectureType", "x64"),
			capability("HyperVGenerations", "V1,V2"), capability("PremiumIO", "True"),
		},
	}
}

// wants reads the one filter that the operation has: location eq 'region'.
func wants(filter, region string) bool {
	_, value, ok := strings.Cut(filter, "eq")
	if !ok {
		return true
	}
	return strings.EqualFold(strings.Trim(strings.TrimSpace(value), "'"), region)
}

func known(regions []string, name string) error {
	plain := strings.ToLower(strings.ReplaceAll(name, " ", ""))
	for _, r := range regions {
		if r == plain {
			return nil
		}
	}
	return arm.BadRequest("NoRegisteredProviderFound", "The location '%s' is not one of this cloud. Its locations are: %s.", name, strings.Join(regions, ", "))
}

package virtualmachinescalesets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// instances reads the nodes of node pools as instances of scale sets.
type instances struct{ store store.Reader }

type instance struct {
	number int
	node   spec.Node
	status spec.NodeStatus
}

func (i instances) set(ctx context.Context, r *arm.RouteRequest) (*arm.Resource, error) {
	id := resourceid.MustParse("/subscriptions/"+r.Params["subscription"]+"/resourceGroups/"+r.Params["group"]).Resource(Name, r.Params["set"])
	return r.Read.Get(ctx, id.String())
}

// of lists a scale set's instances by number. A node names its interface, and that begins with the scale set's key.
func (i instances) of(ctx context.Context, set *arm.Resource) ([]instance, error) {
	docs, _, err := i.store.List(ctx, spec.NodePrefix)
	if err != nil {
		return nil, err
	}
	prefix := set.ParsedID().Key() + "/"
	var out []instance
	for _, doc := range docs {
		var n spec.Node
		if err := json.Unmarshal(doc.Value, &n); err != nil {
			return nil, fmt.Errorf("document at %s: %w", doc.Key, err)
		}
		rest, ok := strings.CutPrefix(n.NIC, prefix)
		number, err := strconv.Atoi(strings.TrimSuffix(rest, "/nic"))
		if !ok || err != nil {
			continue
		}
		found := instance{number: number, node: n}
		if _, err := i.store.Get(ctx, spec.StatusKey(doc.Key), &found.status); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		out = append(out, found)
	}
	sort.Slice(out, func(a, b int) bool { return out[a].number < out[b].number })
	return out, nil
}

func (i instances) list(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	set, err := i.set(ctx, r)
	if err != nil {
		return nil, err
	}
	all, err := i.of(ctx, set)
	if err != nil {
		return nil, err
	}
	value := []any{}
	for _, n := range all {
		value = append(value, n.document(set, r.Query["$expand"] != ""))
	}
	return &arm.Response{Body: map[string]any{"value": value}}, nil
}

func (i instances) find(ctx context.Context, r *arm.RouteRequest) (*arm.Resource, *instance, error) {
	set, err := i.set(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	all, err := i.of(ctx, set)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range all {
		if strconv.Itoa(n.number) == r.Params["instance"] {
			return set, &n, nil
		}
	}
	return nil, nil, arm.NotFound("ResourceNotFound", "The scale set '%s' has no instance '%s'.", set.Name, r.Params["instance"])
}

func (i instances) get(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	set, n, err := i.find(ctx, r)
	if err != nil {
		return nil, err
	}
	return &arm.Response{Body: n.document(set, strings.Contains(strings.ToLower(r.Query["$expand"]), "instanceview"))}, nil
}

func (i instances) view(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
	_, n, err := i.find(ctx, r)
	if err != nil {
		return nil, err
	}
	return &arm.Response{Body: n.instanceView()}, nil
}

// document is the shape of https://learn.microsoft.com/rest/api/compute/virtual-machine-scale-set-vms/get
func (n instance) document(set *arm.Resource, expand bool) map[string]any {
	number := strconv.Itoa(n.number)
	profile, _ := set.Properties()["virtualMachineProfile"].(map[string]any)
	properties := map[string]any{
		"latestModelApplied": true, "vmId": vmID(n.node), "provisioningState": n.provisioning(),
		"hardwareProfile": map[string]any{}, "osProfile": map[string]any{"computerName": n.node.Name},
		"networkProfile": map[string]any{"networkInterfaces": []any{map[string]any{"id": set.ID + "/virtualMachines/" + number + "/networkInterfaces/" + set.Name}}},
	}
	if profile != nil {
		properties["storageProfile"] = profile["storageProfile"]
	}
	if expand {
		properties["instanceView"] = n.instanceView()
	}
	return map[string]any{
		"id": set.ID + "/virtualMachines/" + number, "name": set.Name + "_" + number, "instanceId": number, "type": Name + "/virtualMachines",
		"location": set.Location(), "tags": set.Body["tags"], "sku": map[string]any{"name": sku(set), "tier": "Standard"}, "properties": properties,
	}
}

func sku(set *arm.Resource) string {
	m, _ := set.Body["sku"].(map[string]any)
	s, _ := m["name"].(string)
	return s
}

func (n instance) provisioning() string {
	switch {
	case n.node.Removing:
		return "Deleting"
	case n.status.Registered || n.node.Stopped:
		return "Succeeded"
	}
	return "Creating"
}

func (n instance) instanceView() map[string]any {
	power, shown := "running", "VM running"
	switch {
	case n.node.Stopped:
		power, shown = "deallocated", "VM deallocated"
	case !n.status.Registered:
		power, shown = "starting", "VM starting"
	}
	state := n.provisioning()
	return map[string]any{"statuses": []any{
		map[string]any{"code": "ProvisioningState/" + strings.ToLower(state), "level": "Info", "displayStatus": "Provisioning " + strings.ToLower(state)},
		map[string]any{"code": "PowerState/" + power, "level": "Info", "displayStatus": shown},
	}}
}

package privateendpoints

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/provider/network/networkinterfaces"
	"cloister.dev/cloister/internal/provider/network/subnets"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
)

func (t typ) admit(ctx context.Context, w *arm.Write) error {
	props := kit.Props(w.New)
	if !validate(w, props) {
		return nil
	}
	if w.Old != nil {
		keep(w, props)
		return nil
	}
	links := kit.NewLinks(w.Read, w.Tx)
	subnet, err := useSubnet(ctx, w, links, props)
	if err != nil {
		return err
	}
	service, target, err := useTarget(ctx, w, links, props)
	if err != nil || subnet == nil || target == nil || len(w.Problems) > 0 {
		return err
	}
	address, err := makeInterface(ctx, w, links, subnet, props)
	if err != nil || len(w.Problems) > 0 {
		return err
	}
	links.Save()
	c, _ := connection(props)
	w.Tx.Create(spec.EndpointKey(w.ID.Key()), spec.Endpoint{
		Name: w.ID.Key(), Network: kit.NetworkOf(subnet.ID), Subnet: subnet.ParsedID().Key(), Address: address, Service: service,
		Return:   w.New.ManagedBy != "" && kit.SameID(w.New.ManagedBy, target.ID),
		Approved: c.Str("properties.privateLinkServiceConnectionState.status") == Approved,
	})
	return nil
}

// keep refuses to change what an endpoint is made of; tags may change.
func keep(w *arm.Write, props kit.Doc) {
	old := kit.Props(w.Old)
	was, _ := connection(old)
	now, _ := connection(props)
	for _, f := range []struct{ target, before, after string }{
		{"properties.subnet", old.ID("subnet"), props.ID("subnet")},
		{"properties.privateLinkServiceConnections", was.Str("properties.privateLinkServiceId"), now.Str("properties.privateLinkServiceId")},
		{"properties.privateLinkServiceConnections", was.Str("name"), now.Str("name")},
	} {
		if !kit.SameID(f.before, f.after) {
			w.Fail("PrivateEndpointCannotBeChanged", f.target, "Private endpoint %s cannot be changed from '%s' to '%s'. Delete it and make a new one.", w.Old.ID, f.before, f.after)
		}
	}
	w.New.Body["properties"] = kit.Clone(map[string]any(old))
}

func useSubnet(ctx context.Context, w *arm.Write, links *kit.Links, props kit.Doc) (*arm.Resource, error) {
	subnet, err := links.Use(ctx, w, kit.Ref{Target: "properties.subnet", ID: props.ID("subnet"), Type: kit.SubnetType, Action: subnets.JoinAction})
	if err != nil || subnet == nil {
		return nil, err
	}
	if p := kit.Props(subnet).Str("privateEndpointNetworkPolicies"); p != "Disabled" {
		w.Fail("PrivateEndpointCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled", "properties.subnet", "Private endpoint %s cannot be created in a subnet %s since it has private endpoint network policies enabled (%s). Set privateEndpointNetworkPolicies of the subnet to Disabled.", w.ID, subnet.ID, p)
		return nil, nil
	}
	network, err := w.Read.Get(ctx, subnet.ParsedID().Parent().String())
	if err != nil {
		return nil, err
	}
	if kit.Region(network.Location()) != kit.Region(w.New.Location()) {
		w.Fail("InvalidResourceReference", "location", "Private endpoint %s is in %s, and virtual network %s in %s. Both must be in one region.", w.ID, kit.Region(w.New.Location()), network.ID, kit.Region(network.Location()))
		return nil, nil
	}
	return subnet, nil
}

// useTarget finds the service that the endpoint is to lead to, and decides whether its owner has to be asked.
func useTarget(ctx context.Context, w *arm.Write, links *kit.Links, props kit.Doc) (string, *arm.Resource, error) {
	c, list := connection(props)
	at := "properties." + list + "[0].properties."
	p := c.Sub("properties")
	id, err := resourceid.Parse(p.Str("privateLinkServiceId"))
	target, known := targetOf(id.Type())
	if err != nil || !known {
		w.Fail("InvalidResourceReference", at+"privateLinkServiceId", "Private endpoints cannot lead to '%s'. They can to resources of type %s.", p.Str("privateLinkServiceId"), targetTypes())
		return "", nil, nil
	}
	for _, g := range p.Strings("groupIds") {
		if !strings.EqualFold(g, target.Group) {
			w.Fail("PrivateEndpointInvalidGroupId", at+"groupIds", "Group id '%s' is not one that %s has. Take '%s'.", g, target.Type, target.Group)
		}
	}
	action := target.Approve
	if list == manual {
		action = ""
	}
	r, err := links.Use(ctx, w, kit.Ref{Target: at + "privateLinkServiceId", ID: id.String(), Type: target.Type, Action: action})
	if err != nil || r == nil {
		return "", nil, err
	}
	state := map[string]any{"status": Approved, "description": "Auto-Approved", "actionsRequired": "None"}
	if list == manual {
		state = map[string]any{"status": Pending, "description": "Awaiting approval", "actionsRequired": "None"}
	}
	p["privateLinkServiceConnectionState"] = state
	service := target.Service(r)
	if service == "" {
		w.Fail("ReferencedResourceNotProvisioned", at+"privateLinkServiceId", "Resource %s has no private link service. Wait until it is made, or make it again.", r.ID)
	}
	return service, r, nil
}

// makeInterface writes the endpoint's network interface with an address of the subnet.
func makeInterface(ctx context.Context, w *arm.Write, links *kit.Links, subnet *arm.Resource, props kit.Doc) (netip.Addr, error) {
	guid := uuid.NewString()
	name := props.Str("customNetworkInterfaceName")
	if name == "" {
		name = w.ID.Name() + ".nic." + guid
	}
	id := w.ID.Group().Resource(kit.InterfaceType, name)
	if other, err := links.Load(ctx, id.String()); err != nil {
		return netip.Addr{}, err
	} else if other != nil {
		w.Fail("NetworkInterfaceAlreadyExists", "properties.customNetworkInterfaceName", "Network interface %s exists already. Take another name.", other.ID)
		return netip.Addr{}, nil
	}
	pool, err := links.Subnet(ctx, subnet)
	if err != nil {
		return netip.Addr{}, err
	}
	links.Took(pool)
	config := "privateEndpointIpConfig." + guid
	owner := id.String() + "/ipConfigurations/" + config
	method := "Dynamic"
	var address netip.Addr
	if fixed := props.Docs("ipConfigurations"); len(fixed) > 0 {
		const target = "properties.ipConfigurations[0].properties.privateIPAddress"
		method = "Static"
		text := fixed[0].Str("properties.privateIPAddress")
		networkinterfaces.Claim(w, pool, subnet, owner, text, target)
		address, _ = netip.ParseAddr(text) // Claim has reported what is wrong with it
	} else {
		address, _ = networkinterfaces.Take(w, pool, subnet, owner, "properties.subnet")
	}
	if len(w.Problems) > 0 {
		return netip.Addr{}, nil
	}
	if w.New.Private == nil {
		w.New.Private = map[string]any{}
	}
	w.New.Private[guidKey], w.New.Private[interfaceKey] = guid, id.String()
	now := time.Now().UTC()
	c, _ := connection(props)
	arm.Put(w.Tx, &arm.Resource{
		ID: id.String(), Type: kit.InterfaceType, Name: name, State: arm.StateSucceeded, CreatedAt: now, ChangedAt: now, CreatedBy: w.Principal.ObjectID,
		Private: map[string]any{networkinterfaces.EndpointKey: w.New.ID},
		Body: map[string]any{"location": w.New.Location(), "properties": map[string]any{
			"resourceGuid": uuid.NewString(), "macAddress": networkinterfaces.MAC(id.Key()), "nicType": "Standard", "enableIPForwarding": false, "enableAcceleratedNetworking": false,
			"ipConfigurations": []any{map[string]any{"name": config, "properties": map[string]any{
				"privateIPAddress": address.String(), "privateIPAllocationMethod": method, "privateIPAddressVersion": "IPv4", "primary": true, "subnet": map[string]any{"id": subnet.ID},
				"privateLinkConnectionProperties": map[string]any{"groupId": group(c), "requiredMemberName": group(c), "fqdns": []any{}},
			}}},
		}},
	})
	return address, nil
}

func group(c kit.Doc) string {
	if g := c.Doc("properties").Strings("groupIds"); len(g) > 0 {
		return g[0]
	}
	return ""
}

package spec

import "net/netip"

// NIC is one interface of a sandbox in a virtual network. It is written by
// whoever owns the machine (a network interface, an instance of a scale set, a
// `cloister run` session) and realised by the fabric.
type NIC struct {
	Name      string       `json:"name"`      // unique: the resource key, or <scale set key>/<instance>/nic
	Owner     string       `json:"owner"`     // resource id
	Network   string       `json:"network"`   // virtual network id, lower case
	Subnet    string       `json:"subnet"`    // subnet id, lower case
	Sandbox   string       `json:"sandbox"`   // network namespace that gets the interface
	Interface string       `json:"interface"` // name in the sandbox: eth0
	MAC       string       `json:"mac"`
	Address   netip.Addr   `json:"address"`             // primary
	Secondary []netip.Addr `json:"secondary,omitempty"` // routed via the primary (pods of Azure CNI)
	// SecurityGroup is the id of the NIC's own group, lower case; the subnet's comes with the subnet.
	SecurityGroup string `json:"securityGroup,omitempty"`
	// Outbound is the public address that its outbound connections get; zero: the network's default one.
	Outbound netip.Addr `json:"outbound,omitzero"`
	// Public is a public address of its own (instance level), in and out.
	Public netip.Addr `json:"public,omitzero"`
}

// Service is something that private endpoints lead to: a sandbox in the
// provider's network that listens on Port.
type Service struct {
	Name    string `json:"name"`
	Owner   string `json:"owner"`
	Sandbox string `json:"sandbox"`
	Port    uint16 `json:"port"` // TCP
}

// Endpoint is a private endpoint: an address in a subnet that leads to a service.
type Endpoint struct {
	Name    string     `json:"name"` // private endpoint's resource id, lower case
	Network string     `json:"network"`
	Subnet  string     `json:"subnet"`
	Address netip.Addr `json:"address"`
	Service string     `json:"service"`
	// Return marks the endpoint by which the service reaches the network (logs,
	// exec, webhooks); one of a service's endpoints has it.
	Return bool `json:"return,omitempty"`
	// Approved is false while the connection waits or was refused: nothing passes.
	Approved bool `json:"approved"`
}

// AttachStatus is what the fabric reports of a NIC, a service or an endpoint.
type AttachStatus struct {
	Ready   bool   `json:"ready"`
	Message string `json:"message,omitempty"`
	Plan    int64  `json:"plan,omitempty"` // number of the plan that made it so
}

// SandboxStatus is what the engine reports of a network namespace.
type SandboxStatus struct {
	Path string `json:"path"` // of the pinned namespace
}

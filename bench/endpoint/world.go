package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"

	"cloister.dev/cloister/internal/fabric"
	"cloister.dev/cloister/internal/netplan"
	"cloister.dev/cloister/internal/spec"
)

const (
	endpointAddress     = "10.240.0.4"
	clientAddress       = "10.240.0.5"
	plainGateway        = "10.99.1.1"
	plainClientAddress  = "10.99.1.2"
	plainServiceAddress = "10.99.3.2"
)

// world is a virtual network with an endpoint, as the planner and the fabric make it, on a host of its
// own; and a chain of namespaces of the same length (client, network, provider, service)
// that only routes.
type world struct {
	dir                                                    string
	stage, fabric                                          *fabric.Fabric
	client, service                                        string // paths of namespaces
	plainClient, plainNetwork, plainProvider, plainService string
}

var staged = []string{"host", "client", "network", "provider", "service"}

func newWorld(ctx context.Context, dir string) (w *world, err error) {
	w = &world{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.stage, err = fabric.New(fabric.Options{RunDir: filepath.Join(dir, "stage")}); err != nil {
		return w, err
	}
	for _, name := range staged {
		if _, err := w.stage.EnsureSandbox(name); err != nil {
			return w, err
		}
	}
	host := w.stage.Path("host")
	w.plainClient, w.plainNetwork, w.plainProvider, w.plainService = w.stage.Path("client"), w.stage.Path("network"), w.stage.Path("provider"), w.stage.Path("service")
	if err := w.plain(ctx); err != nil {
		return w, err
	}
	// The planner wants an uplink.
	if err := lines(ctx, host, "link add wan type veth peer name out", "addr add 203.0.113.1/24 dev wan", "link set wan up", "route add default via 203.0.113.9"); err != nil {
		return w, err
	}
	if w.fabric, err = fabric.New(fabric.Options{RunDir: filepath.Join(dir, "run"), HostNS: host}); err != nil {
		return w, err
	}
	addr := netip.MustParseAddr
	n := netplan.Network{
		ID: "net", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, MTU: 1500, Outbound: addr("198.51.100.10"), Groups: map[string]netplan.Group{},
		Subnets: []netplan.Subnet{{ID: "net/a", Prefix: netip.MustParsePrefix("10.240.0.0/24")}},
		NICs:    []spec.NIC{{Name: "net/nic", Network: "net", Subnet: "net/a", Sandbox: "m-client", Interface: "eth0", MAC: "00:0d:3a:00:00:05", Address: addr(clientAddress)}},
		Ends: []netplan.Endpoint{{Endpoint: spec.Endpoint{Name: "net/pe", Network: "net", Subnet: "net/a", Address: addr(endpointAddress), Service: "one", Return: true, Approved: true},
			Port: 443, NetworkSide: addr("240.8.0.0"), ServiceSide: addr("240.8.0.1")}},
	}
	plan := netplan.Host{
		Pool: netip.MustParsePrefix("198.51.100.0/24"), Edge: addr("198.51.100.1"), ARM: addr("198.51.100.2"), DNS: addr("198.51.100.3"), MTU: 1500,
		Networks: []netplan.Network{n}, Services: []spec.Service{{Name: "one", Sandbox: "cp-one", Port: 443}},
	}
	if err := w.fabric.Apply(ctx, "host", 1, netplan.ForHost(plan)); err != nil {
		return w, err
	}
	if err := w.fabric.Apply(ctx, n.ID, 1, netplan.ForNetwork(n)); err != nil {
		return w, err
	}
	w.client, w.service = w.fabric.Path("m-client"), w.fabric.Path("cp-one")
	return w, nil
}

// plain connects the chain that only routes.
func (w *world) plain(ctx context.Context) error {
	for _, step := range []struct {
		in    string
		lines []string
	}{
		{w.plainNetwork, []string{
			"link add near type veth peer name eth0 netns " + w.plainClient, "link add far type veth peer name far netns " + w.plainProvider,
			"addr add " + plainGateway + "/24 dev near", "addr add 10.99.2.1/24 dev far", "link set near up", "link set far up", "route add 10.99.3.0/24 via 10.99.2.2",
		}},
		{w.plainProvider, []string{
			"link add last type veth peer name eth0 netns " + w.plainService,
			"addr add 10.99.2.2/24 dev far", "addr add 10.99.3.1/24 dev last", "link set far up", "link set last up", "route add 10.99.1.0/24 via 10.99.2.1",
		}},
		{w.plainClient, []string{"addr add " + plainClientAddress + "/24 dev eth0", "link set eth0 up", "route add default via " + plainGateway}},
		{w.plainService, []string{"addr add " + plainServiceAddress + "/24 dev eth0", "link set eth0 up", "route add default via 10.99.3.1"}},
	} {
		if err := lines(ctx, step.in, step.lines...); err != nil {
			return err
		}
	}
	for _, ns := range []string{w.plainNetwork, w.plainProvider} {
		if out, err := exec.CommandContext(ctx, "nsenter", "--net="+ns, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward").CombinedOutput(); err != nil {
			return fmt.Errorf("ip_forward: %w: %s", err, out)
		}
	}
	return nil
}

// lines runs `ip` in a namespace.
func lines(ctx context.Context, ns string, list ...string) error {
	for _, line := range list {
		args := append([]string{"--net=" + ns, "ip"}, strings.Fields(line)...)
		if out, err := exec.CommandContext(ctx, "nsenter", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
	}
	return nil
}

func (w *world) close() error {
	var errs []error
	if w.fabric != nil {
		errs = append(errs, w.fabric.Down(context.Background()))
	}
	if w.stage != nil {
		for _, name := range staged {
			errs = append(errs, w.stage.DeleteSandbox(name))
		}
		errs = append(errs, w.stage.Close())
	}
	return errors.Join(errs...)
}

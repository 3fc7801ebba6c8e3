package walk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"
)

// Case is one way in that must not be one.
type Case struct {
	Name string
	Try  func(ctx context.Context, w *Walk) error
}

// Isolation is the table of what must hold while both clusters run and are used.
func Isolation() []Case {
	return []Case{
		{"the private name does not resolve on the host", hostName},
		{"the public DNS server does not know the private name", publicServerPrivateName},
		{"the public DNS server answers the public name with the private address", publicServerPublicName},
		{"the host has no route to the endpoint, and the edge lets nothing through", hostRoute},
		{"another network cannot connect", func(ctx context.Context, w *Walk) error { return w.cannotConnect(ctx, w.subnets["other"]) }},
		{"another network with the same addresses reaches its own cluster only", sameAddresses},
		{"a linked but not connected network resolves, and cannot connect; unlinked, the name is gone", linked},
		{"no listening socket of an API server on the host", noListener},
		{"a control plane reaches no foreign address, also not through a Node object", foreignNode},
		{"nothing of it left by the uplink", uplinkClean},
	}
}

func outside(ctx context.Context, w *Walk) error {
	var err error
	if w.uplink, err = startCapture(); err != nil {
		return err
	}
	for _, c := range Isolation() {
		if err := c.Try(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		w.saw("%s: holds", c.Name)
	}
	return nil
}

// hostName asks what programs on the host ask: the system's resolver, by way of its files only where
// the query would leave the machine. A resolver that knew the name would have to be Cloister's.
func hostName(ctx context.Context, w *Walk) error {
	out, err := exec.CommandContext(ctx, "getent", "-s", "files", "hosts", w.main.PrivateFQDN).Output()
	if err := refused(string(out), err, "getent on the host"); err != nil {
		return err
	}
	conf, err := w.command(ctx, false, "run", "--workstation", "--", "cat", "/etc/resolv.conf")
	if err != nil {
		return err
	}
	for _, address := range []string{"168.63.129.16", w.env["CLOISTER_URL"]} {
		if strings.Contains(conf, strings.TrimPrefix(address, "https://")) {
			return fmt.Errorf("the host's resolver is Cloister's: %s", conf)
		}
	}
	return nil
}

func (w *Walk) publicDNS() string {
	arm := net.ParseIP(strings.TrimPrefix(w.env["CLOISTER_URL"], "https://")).To4()
	return net.IPv4(arm[0], arm[1], arm[2], arm[3]+1).String()
}

func publicServerPrivateName(ctx context.Context, w *Walk) error {
	out, err := w.command(ctx, true, "run", "--workstation", "--", "nslookup", w.main.PrivateFQDN, w.publicDNS())
	return refused(out, err, "nslookup of the private name")
}

func publicServerPublicName(ctx context.Context, w *Walk) error {
	out, err := w.command(ctx, true, "run", "--workstation", "--", "nslookup", w.main.PublicFQDN, w.publicDNS())
	if err != nil {
		return err
	}
	if !strings.Contains(out, "Address: "+w.main.Endpoint) {
		return fmt.Errorf("nslookup says %s", out)
	}
	return nil
}

// hostRoute sends nothing by the host's uplink: it looks at the route, and
// sends by Cloister's own link, where the edge must drop it.
func hostRoute(ctx context.Context, w *Walk) error {
	out, err := exec.CommandContext(ctx, "ip", "route", "get", w.main.Endpoint).Output()
	if err == nil && strings.Contains(string(out), "cl-host") {
		return fmt.Errorf("the host routes the endpoint into Cloister: %s", out)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	d := net.Dialer{Control: bindTo("cl-host")}
	conn, err := d.DialContext(ctx, "tcp4", net.JoinHostPort(w.main.Endpoint, "443"))
	if err == nil {
		_ = conn.Close()
		return errors.New("the endpoint answers on the host's link to the edge")
	}
	return nil
}

// cannotConnect tries the endpoint's address from a subnet.
func (w *Walk) cannotConnect(ctx context.Context, subnet string) error {
	out, err := w.inside(ctx, subnet, "curl", "-sk", "--max-time", "3", "https://"+w.main.Endpoint+"/version")
	return refused(out, err, "curl of the endpoint")
}

// sameAddresses: what answers at the address in the other network is the other
// cluster, and the first one's credentials are nothing there.
func sameAddresses(ctx context.Context, w *Walk) error {
	out, err := w.inside(ctx, w.twin.Subnet, "sh", "-c", fmt.Sprintf(
		"echo | openssl s_client -connect %s:443 2>/dev/null | openssl x509 -noout -fingerprint -sha256; kubectl --kubeconfig /tmp/walk-%s --server https://%s --insecure-skip-tls-verify get nodes 2>&1; true", w.main.Endpoint, w.main.Name, w.main.Endpoint))
	if err != nil {
		return err
	}
	if !strings.Contains(out, w.twin.Certificate) || strings.Contains(out, "Ready") {
		return fmt.Errorf("from the twin's network: %s", out)
	}
	resolved, err := w.inside(ctx, w.twin.Subnet, "nslookup", w.main.PrivateFQDN)
	return refused(resolved, err, "nslookup in a network that is not linked")
}

func linked(ctx context.Context, w *Walk) error {
	zone := w.main.PrivateFQDN[strings.Index(w.main.PrivateFQDN, ".")+1:]
	vnet := w.subnets["other"][:strings.Index(w.subnets["other"], "/subnets/")]
	if _, err := w.az(ctx, "network", "private-dns", "link", "vnet", "create", "-g", w.main.NodeGroup, "-z", zone, "-n", "other", "-v", vnet, "-e", "false", "-o", "none"); err != nil {
		return err
	}
	err := eventually(ctx, 10*time.Second, func(ctx context.Context) error {
		out, err := w.inside(ctx, w.subnets["other"], "nslookup", w.main.PrivateFQDN)
		if err != nil || !strings.Contains(out, w.main.Endpoint) {
			return fmt.Errorf("linked: %s %w", out, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := w.cannotConnect(ctx, w.subnets["other"]); err != nil {
		return err
	}
	if _, err := w.az(ctx, "network", "private-dns", "link", "vnet", "delete", "-g", w.main.NodeGroup, "-z", zone, "-n", "other", "--yes"); err != nil {
		return err
	}
	return eventually(ctx, 10*time.Second, func(ctx context.Context) error {
		out, err := w.inside(ctx, w.subnets["other"], "nslookup", w.main.PrivateFQDN)
		return refused(out, err, "nslookup after the link was deleted")
	})
}

func noListener(_ context.Context, w *Walk) error {
	now, err := listeners()
	if err != nil {
		return err
	}
	for l := range now {
		if !w.before[l] {
			return fmt.Errorf("the host listens on %s since the clusters were made", l)
		}
	}
	return nil
}

// foreignNode has the twin's administrator point a Node object at the first
// cluster's endpoint and at a node of it, and use the API server as a proxy.
func foreignNode(ctx context.Context, w *Walk) error {
	kubectl := "kubectl --kubeconfig /tmp/walk-" + w.twin.Name
	for _, address := range []string{"172.20.0.4", "240.0.0.1", "240.0.0.2", "168.63.129.16", strings.TrimPrefix(w.env["CLOISTER_URL"], "https://"), "127.0.0.1"} {
		out, err := w.inside(ctx, w.twin.Subnet, "sh", "-c", fmt.Sprintf(`%[1]s delete node evil --ignore-not-found >/dev/null
%[1]s create -f - >/dev/null <<'END'
{"apiVersion":"v1","kind":"Node","metadata":{"name":"evil"}}
END
%[1]s patch node evil --subresource status --type merge -p '{"status":{"addresses":[{"type":"InternalIP","address":"%[2]s"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":443}}}}' >/dev/null
timeout 8 %[1]s get --raw /api/v1/nodes/https:evil:443/proxy/ 2>&1; code=$?
%[1]s delete node evil >/dev/null; exit $code`, kubectl, address))
		if err := refused(out, err, "the API server's proxy to "+address); err != nil {
			return err
		}
	}
	return nil
}

func uplinkClean(_ context.Context, w *Walk) error {
	return w.uplink.clean([]string{w.main.Endpoint}, []string{w.main.PrivateFQDN, w.twin.PrivateFQDN})
}

func disablePublicName(ctx context.Context, w *Walk) error {
	if _, err := w.az(ctx, "aks", "update", "-g", w.main.Group, "-n", w.main.Name, "--disable-public-fqdn", "-o", "none"); err != nil {
		return err
	}
	return eventually(ctx, 20*time.Second, func(ctx context.Context) error {
		out, err := w.command(ctx, true, "run", "--workstation", "--", "nslookup", w.main.PublicFQDN, w.publicDNS())
		return refused(out, err, "nslookup of the public name")
	})
}

func remove(ctx context.Context, w *Walk) error {
	if _, err := w.az(ctx, "aks", "delete", "-g", w.main.Group, "-n", w.main.Name, "--yes"); err != nil {
		return err
	}
	if out, err := w.az(ctx, "group", "show", "-n", w.main.NodeGroup); err == nil {
		return fmt.Errorf("the managed group is still there: %s", out)
	}
	for _, g := range w.groups {
		if _, err := w.az(ctx, "group", "delete", "-n", g, "--yes"); err != nil {
			return err
		}
	}
	var groups []struct{ Name string }
	if err := w.azJSON(ctx, &groups, "group", "list"); err != nil {
		return err
	}
	for _, g := range groups {
		if strings.Contains(strings.ToLower(g.Name), "walk") {
			return fmt.Errorf("group %s is still there", g.Name)
		}
	}
	return eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		out, err := w.command(ctx, false, "status", "--json")
		if err != nil {
			return err
		}
		if strings.Contains(out, `"cp-`) || strings.Contains(out, `"aks-`) {
			return fmt.Errorf("containers are left: %s", out)
		}
		return nil
	})
}

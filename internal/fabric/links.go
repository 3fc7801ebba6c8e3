package fabric

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/netplan"
)

// handle opens netlink in a namespace.
func (f *Fabric) handle(name string) (*netlink.Handle, netns.NsHandle, error) {
	ns, err := netns.GetFromPath(f.Path(name))
	if err != nil {
		return nil, 0, fmt.Errorf("namespace %q: %w", name, err)
	}
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		_ = ns.Close()
		return nil, 0, fmt.Errorf("namespace %q: %w", name, err)
	}
	return h, ns, nil
}

// largestMTU is that of links in virtual networks: larger ones are not what guests expect.
const largestMTU = 1500

// UplinkMTU is the largest packet that the host's default route takes, at most 1500 bytes.
func (f *Fabric) UplinkMTU() (int, error) {
	h, ns, err := f.handle(netplan.HostNS)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	defer func() { _ = ns.Close() }()
	routes, err := h.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, fmt.Errorf("list the host's routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() || r.LinkIndex == 0 {
			continue
		}
		link, err := h.LinkByIndex(r.LinkIndex)
		if err != nil {
			return 0, fmt.Errorf("the host's uplink: %w", err)
		}
		return min(largestMTU, link.Attrs().MTU), nil
	}
	return largestMTU, nil
}

// applyLinks makes the veth pairs of a namespace and removes those of ours that the plan does not name.
func (f *Fabric) applyLinks(plan netplan.Namespace) error {
	h, ns, err := f.handle(plan.Name)
	if err != nil {
		return err
	}
	defer h.Close()
	defer func() { _ = ns.Close() }()
	there, err := h.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	have, want := map[string]netlink.Link{}, map[string]bool{}
	for _, l := range there {
		have[l.Attrs().Name] = l
	}
	for _, l := range plan.Links {
		want[l.Name] = true
		if old := have[l.Name]; old != nil && strings.EqualFold(old.Attrs().HardwareAddr.String(), l.MAC) {
			continue
		} else if old != nil {
			if err := h.LinkDel(old); err != nil {
				return fmt.Errorf("replace link %s: %w", l.Name, err)
			}
		}
		if err := f.makePair(h, l); err != nil {
			return fmt.Errorf("make link %s: %w", l.Name, err)
		}
	}
	if !ours(plan.Name) {
		return nil
	}
	for name, l := range have {
		if l.Type() == "veth" && !want[name] {
			if err := h.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("remove link %s: %w", name, err)
			}
		}
	}
	return nil
}

// ours tells the namespaces in which every link is Cloister's. In a sandbox, pods have theirs.
func ours(name string) bool {
	return name == netplan.EdgeNS || name == netplan.ProviderNS || strings.HasPrefix(name, "vnet-")
}

func (f *Fabric) makePair(h *netlink.Handle, l netplan.Link) error {
	if err := f.ensure(l.PeerNS); err != nil {
		return err
	}
	peer, peerNS, err := f.handle(l.PeerNS)
	if err != nil {
		return err
	}
	defer peer.Close()
	defer func() { _ = peerNS.Close() }()
	// A half of an older pair may be there.
	if old, err := peer.LinkByName(l.PeerName); err == nil {
		if err := peer.LinkDel(old); err != nil {
			return err
		}
	}
	mac, err := net.ParseMAC(l.MAC)
	if err != nil {
		return err
	}
	peerMAC, err := net.ParseMAC(l.PeerMAC)
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.MTU = l.Name, mac, l.MTU
	return h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: l.PeerName, PeerHardwareAddr: peerMAC, PeerNamespace: netlink.NsFd(int(peerNS))})
}

// prepareNamespace sets what holds for each of Cloister's namespaces. It runs inside.
func prepareNamespace() error {
	for name, value := range map[string]string{
		"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1",
		"ipv4/conf/all/rp_filter": "1", "ipv4/conf/default/rp_filter": "1",
		"ipv4/conf/all/accept_redirects": "0", "ipv4/conf/default/accept_redirects": "0",
		"ipv4/conf/all/send_redirects": "0", "ipv4/conf/default/send_redirects": "0",
	} {
		if err := setSysctl(name, value); err != nil {
			return err
		}
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(lo)
}

// setSysctl writes a value below /proc/sys/net, of the namespace that the thread is in.
func setSysctl(name, value string) error {
	path := "/proc/sys/net/" + name
	old, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && strings.HasPrefix(name, "ipv6/") {
		return nil // a kernel without IPv6 has none to switch off
	}
	if err != nil || strings.TrimSpace(string(old)) == value {
		return err
	}
	return os.WriteFile(path, []byte(value), 0o644)
}

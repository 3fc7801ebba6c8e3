package fabric

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"cloister.dev/cloister/internal/atomicfile"
	"cloister.dev/cloister/internal/netplan"
)

// elsewhere is an address that nobody has (TEST-NET-3, RFC 5737): where it would go, the world is.
var elsewhere = netip.MustParseAddr("203.0.113.77")

// Uplinks are the links of the host by which networks reach the world and the LAN prefixes, and that do
// not forward packets by the owner's will. The kernel asks the link by which a packet comes in
// (net.ipv4.conf.<link>.forwarding), so that these and Cloister's own link have to be switched on, and the
// machine's switch net.ipv4.ip_forward, which is that of all links, can stay as it is. Where the owner has
// switched all of them on there is none.
func (f *Fabric) Uplinks(lan []netip.Prefix) ([]netplan.Uplink, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ours, err := f.remembered()
	if err != nil {
		return nil, err
	}
	links, err := f.uplinks(lan)
	if err != nil {
		return nil, err
	}
	var out []netplan.Uplink
	err = inNamespace(f.host, func() error {
		if on, err := forwards("all"); err != nil || on {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(links)) {
			on, err := forwards(name)
			if err != nil {
				return err
			}
			if _, was := ours[name]; was || !on {
				out = append(out, netplan.Uplink{Name: name, Bridge: links[name]})
			}
		}
		return nil
	})
	return out, err
}

// uplinks are the links to the world and the LAN prefixes, and whether each is a bridge.
func (f *Fabric) uplinks(lan []netip.Prefix) (map[string]bool, error) {
	h, ns, err := f.handle(netplan.HostNS)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	defer func() { _ = ns.Close() }()
	index := map[int]bool{}
	routes, err := h.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		index[r.LinkIndex] = true
		for _, hop := range r.MultiPath {
			index[hop.LinkIndex] = true
		}
	}
	to := []netip.Addr{elsewhere} // a VPN's routes may be in a table of its own
	for _, p := range lan {
		to = append(to, p.Addr())
	}
	for _, a := range to {
		found, err := h.RouteGet(net.IP(a.AsSlice()))
		if err != nil {
			continue // there is no way: none has to be opened
		}
		for _, r := range found {
			index[r.LinkIndex] = true
		}
	}
	out := map[string]bool{}
	for i := range index {
		link, err := h.LinkByIndex(i)
		if err != nil {
			continue // no link of a route that leads nowhere
		}
		if name := link.Attrs().Name; name != "lo" && name != netplan.HostLink {
			out[name] = link.Type() == "bridge"
		}
	}
	return out, nil
}

// forwards reads a link's switch, in the namespace that the thread is in.
func forwards(link string) (bool, error) {
	b, err := os.ReadFile("/proc/sys/net/" + forwardingOf(link))
	if errors.Is(err, os.ErrNotExist) {
		return true, nil // the link has gone meanwhile: nothing to switch
	}
	return strings.TrimSpace(string(b)) == "1", err
}

// forwardingOf is the switch of a link, as a path below /proc/sys/net. A dot in the name is no separator there.
func forwardingOf(link string) string { return "ipv4/conf/" + link + "/forwarding" }

func (f *Fabric) forwardFile() string {
	return filepath.Join(filepath.Dir(f.pins.dir), "forwarding.before.json")
}

// remembered are the switches that were changed, with what they were.
func (f *Fabric) remembered() (map[string]string, error) {
	out := map[string]string{}
	b, err := os.ReadFile(f.forwardFile())
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", f.forwardFile(), err)
	}
	return out, nil
}

// forwardOnHost has the links of the plan forward packets, remembers what they did before, and
// puts back those that the plan no longer names.
func (f *Fabric) forwardOnHost(links []string) error {
	before, err := f.remembered()
	if err != nil {
		return err
	}
	return inNamespace(f.host, func() error {
		// Nothing of ours speaks IPv6: the link has no address of it, and no words for neighbours.
		if err := setSysctl("ipv6/conf/"+netplan.HostLink+"/disable_ipv6", "1"); err != nil {
			return err
		}
		for _, name := range links {
			on, err := forwards(name)
			if err != nil {
				return err
			}
			if on {
				continue
			}
			if _, known := before[name]; !known && name != netplan.HostLink {
				before[name] = "0"
				if err := f.remember(before); err != nil {
					return err
				}
			}
			if err := setSysctl(forwardingOf(name), "1"); err != nil {
				return fmt.Errorf("have %s forward packets: %w", name, err)
			}
		}
		return f.putBack(before, links)
	})
}

// putBack restores the switches of links that are not among keep. Where the owner has switched all
// links on meanwhile, they stay on: that is the newer will.
func (f *Fabric) putBack(before map[string]string, keep []string) error {
	all, err := forwards("all")
	if err != nil {
		return err
	}
	changed := false
	for name, was := range before {
		if slices.Contains(keep, name) {
			continue
		}
		if !all {
			if err := setSysctl(forwardingOf(name), was); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("put the forwarding of %s back: %w", name, err)
			}
		}
		delete(before, name)
		changed = true
	}
	if !changed {
		return nil
	}
	return f.remember(before)
}

func (f *Fabric) remember(before map[string]string) error {
	if len(before) == 0 {
		if err := os.Remove(f.forwardFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.Marshal(before)
	if err != nil {
		return err
	}
	return atomicfile.Write(f.forwardFile(), b, 0o600)
}

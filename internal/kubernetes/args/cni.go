package args

import (
	"net/netip"
	"slices"

	"cloister.dev/cloister/internal/spec"
)

// CNI is the network configuration of a node's pods: a link of its own for each
// pod, with one of the node's addresses, and the node's own address as gateway,
// so that the virtual network sees all of them behind one interface.
// https://www.cni.dev/plugins/current/main/ptp/ and .../ipam/host-local/
func CNI(n spec.Node) string {
	ranges := []any{}
	for _, r := range runs(n.PodIPs) {
		ranges = append(ranges, map[string]string{
			"subnet": n.SubnetCIDR.String(), "rangeStart": r[0].String(), "rangeEnd": r[1].String(),
			"gateway": n.Address.String(),
		})
	}
	return document(map[string]any{
		"cniVersion": "1.0.0", "name": "cloister",
		"plugins": []any{
			map[string]any{
				"type": "ptp", "ipMasq": false,
				"ipam": map[string]any{
					"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": []any{ranges},
					"routes": []any{map[string]string{"dst": "0.0.0.0/0"}},
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}, "backend": "nftables"},
		},
	})
}

// runs joins addresses to ranges without a gap: first and last of each.
func runs(addrs []netip.Addr) [][2]netip.Addr {
	sorted := slices.Clone(addrs)
	slices.SortFunc(sorted, netip.Addr.Compare)
	var out [][2]netip.Addr
	for _, a := range slices.Compact(sorted) {
		if last := len(out) - 1; last >= 0 && out[last][1].Next() == a {
			out[last][1] = a
			continue
		}
		out = append(out, [2]netip.Addr{a, a})
	}
	return out
}

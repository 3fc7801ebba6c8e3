package template

import (
	"encoding/binary"
	"math/big"
	"net/netip"
)

// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-cidr
var cidrFunctions = map[string]function{
	"parseCidr": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		p, ok := prefix(a)
		if !ok {
			return nil, nil
		}
		out := map[string]any{
			"network": p.Addr().String(), "netmask": mask(p), "broadcast": lastOf(p).String(), "cidr": int64(p.Bits()),
			"firstUsable": p.Addr().Next().String(), "lastUsable": lastOf(p).Prev().String(),
		}
		if p.Bits() >= p.Addr().BitLen()-1 {
			out["firstUsable"], out["lastUsable"] = p.Addr().String(), lastOf(p).String()
		}
		return out, nil
	}},
	"cidrSubnet": {min: 3, max: 3, do: func(_ *env, a args) (any, error) {
		p, ok := prefix(a)
		bits, index := a.num(1), a.num(2)
		if !ok || *a.err != nil {
			return nil, nil
		}
		if bits < int64(p.Bits()) || bits > int64(p.Addr().BitLen()) || index < 0 || bits-int64(p.Bits()) < 62 && index >= 1<<(bits-int64(p.Bits())) {
			a.fail("%s has no subnet %d of /%d", p, index, bits)
			return nil, nil
		}
		return netip.PrefixFrom(plus(p.Addr(), uint64(index), p.Addr().BitLen()-int(bits)), int(bits)).String(), nil
	}},
	"cidrHost": {min: 2, max: 2, do: func(_ *env, a args) (any, error) {
		p, ok := prefix(a)
		index := a.num(1)
		if !ok || *a.err != nil {
			return nil, nil
		}
		host := plus(p.Addr(), uint64(max(index, 0))+1, 0)
		if index < 0 || !p.Contains(host) {
			a.fail("%s has no host %d: the first is 0", p, index)
			return nil, nil
		}
		return host.String(), nil
	}},
}

func prefix(a args) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(a.str(0))
	if err != nil {
		a.fail("%s is no range of addresses: write 10.0.0.0/16", show(a.all[0]))
		return p, false
	}
	return p.Masked(), true
}

func mask(p netip.Prefix) string {
	if p.Addr().Is4() {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], ^uint32(0)<<(32-p.Bits()))
		return netip.AddrFrom4(b).String()
	}
	b := [16]byte{}
	for i := range p.Bits() {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom16(b).String()
}

// plus adds n<<shift to an address.
func plus(a netip.Addr, n uint64, shift int) netip.Addr {
	sum := new(big.Int).SetUint64(n)
	return add(a, sum.Lsh(sum, uint(shift)))
}

// lastOf is a range's last address.
func lastOf(p netip.Prefix) netip.Addr {
	size := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()))
	return add(p.Addr(), size.Sub(size, big.NewInt(1)))
}

// add is a + n, around at the end.
func add(a netip.Addr, n *big.Int) netip.Addr {
	b := a.AsSlice()
	sum := new(big.Int).Add(new(big.Int).SetBytes(b), n)
	sum.And(sum, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(a.BitLen())), big.NewInt(1)))
	out, _ := netip.AddrFromSlice(sum.FillBytes(b))
	return out
}

// Package ipam hands out addresses of subnets and pools. All addresses of one
// pool are one document of the store, so that taking an address is part of the
// transaction that writes its taker.
package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"cloister.dev/cloister/internal/store"
)

// ErrFull says that a pool has not as many free addresses as asked for.
var ErrFull = errors.New("no free address")

// ErrTaken says that the wanted address belongs to somebody else.
var ErrTaken = errors.New("address is in use")

// Pool is the addresses of one prefix, as read from the store, and the changes
// made to them since. Commit it with Save in the taker's transaction.
type Pool struct {
	key    string
	rev    int64
	prefix netip.Prefix
	skip   int // addresses at the prefix's start that are never handed out
	Used   map[netip.Addr]string
}

// Load reads the pool named key (a subnet's id in lower case, say). The first
// skip addresses and the last one are reserved (Azure reserves four and the broadcast).
func Load(ctx context.Context, r store.Reader, key string, prefix netip.Prefix, skip int) (*Pool, error) {
	p := &Pool{key: "/ipam/" + trim(key), prefix: prefix.Masked(), skip: skip, Used: map[netip.Addr]string{}}
	rev, err := r.Get(ctx, p.key, &p.Used)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read addresses of %s: %w", key, err)
	}
	p.rev = rev
	return p, nil
}

// Take gives the owner n free addresses, the lowest first.
func (p *Pool) Take(owner string, n int) ([]netip.Addr, error) {
	var out []netip.Addr
	for a := p.first(); len(out) < n; a = a.Next() {
		if !a.IsValid() || !p.prefix.Contains(a) || a == p.last() {
			return nil, fmt.Errorf("%w: %s has fewer than %d left", ErrFull, p.prefix, n)
		}
		if _, used := p.Used[a]; !used {
			out = append(out, a)
		}
	}
	for _, a := range out {
		p.Used[a] = owner
	}
	return out, nil
}

// Claim gives the owner the address it names.
func (p *Pool) Claim(owner string, a netip.Addr) error {
	if !p.prefix.Contains(a) || a == p.last() || a.Less(p.first()) {
		return fmt.Errorf("address %s is not one that %s hands out", a, p.prefix)
	}
	if o, used := p.Used[a]; used && o != owner {
		return fmt.Errorf("%w: %s belongs to %s", ErrTaken, a, o)
	}
	p.Used[a] = owner
	return nil
}

// Release frees every address of the owner.
func (p *Pool) Release(owner string) {
	for a, o := range p.Used {
		if o == owner {
			delete(p.Used, a)
		}
	}
}

// Of lists the owner's addresses, in no order.
func (p *Pool) Of(owner string) []netip.Addr {
	var out []netip.Addr
	for a, o := range p.Used {
		if o == owner {
			out = append(out, a)
		}
	}
	return out
}

// Free counts the addresses that are left.
func (p *Pool) Free() int {
	size := 1 << min(30, p.prefix.Addr().BitLen()-p.prefix.Bits())
	return size - p.skip - 1 - len(p.Used)
}

// Save adds the pool to a transaction, which fails with a conflict if it was changed meanwhile.
func (p *Pool) Save(tx *store.Tx) {
	if len(p.Used) == 0 {
		tx.Expect(p.key, p.rev).Delete(p.key)
		return
	}
	tx.Update(p.key, p.rev, p.Used)
}

func (p *Pool) first() netip.Addr {
	a := p.prefix.Addr()
	for range p.skip {
		a = a.Next()
	}
	return a
}

func (p *Pool) last() netip.Addr {
	b := p.prefix.Addr().AsSlice()
	for i := p.prefix.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func trim(key string) string {
	for len(key) > 0 && key[0] == '/' {
		key = key[1:]
	}
	return key
}

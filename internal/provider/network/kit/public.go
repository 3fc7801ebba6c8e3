package kit

import (
	"context"
	"net/netip"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

// UsePublic checks the reference to a public address that only one can use, and notes its user: the
// id of an IP configuration. The result is nil when something was wrong.
func (l *Links) UsePublic(ctx context.Context, w *arm.Write, target, id, user, region string, held bool) (*arm.Resource, error) {
	r, err := l.Use(ctx, w, Ref{Target: target, ID: id, Type: PublicIPType, Action: "Microsoft.Network/publicIPAddresses/join/action", Region: region, Held: held})
	if err != nil || r == nil {
		return nil, err
	}
	for _, u := range Users(r) {
		if !strings.EqualFold(u, user) {
			w.Fail("PublicIPAddressInUse", target, "Resource %s is referencing public IP address %s that is already allocated to resource %s. Take another public address, or free this one.", user, r.ID, u)
			return nil, nil
		}
	}
	l.Attach(r, user)
	return r, nil
}

// PublicAddress is the address of a publicIPAddresses resource.
func PublicAddress(r *arm.Resource) netip.Addr {
	if r == nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(Props(r).Str("ipAddress"))
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// SameID compares ids as ARM does.
func SameID(a, b string) bool { return strings.EqualFold(strings.Trim(a, "/"), strings.Trim(b, "/")) }

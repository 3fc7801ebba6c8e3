package names

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"cloister.dev/cloister/bench/figure"
	"cloister.dev/cloister/bench/proc"
	"cloister.dev/cloister/internal/dns"
	"cloister.dev/cloister/internal/spec"
)

// RoleMany is a resolver with many networks, each at an address of its own on loopback.
const RoleMany = "dns-many"

const (
	networks     = 100
	changes      = 20
	changePort   = 5304
	changedLabel = "changed"
)

// ServeMany answers for each network at the address that stands for its namespace.
func ServeMany(ctx context.Context, dir string) error {
	return dns.Serve(ctx, dns.Options{
		File: filepath.Join(dir, "zones.json"), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Listen: func(netns, _ string) (net.PacketConn, net.Listener, error) {
			at := net.JoinHostPort(filepath.Base(netns), fmt.Sprint(changePort))
			packet, err := net.ListenPacket("udp4", at)
			if err != nil {
				return nil, nil, err
			}
			stream, err := net.Listen("tcp4", at)
			if err != nil {
				return nil, nil, errors.Join(err, packet.Close())
			}
			return packet, stream, nil
		},
	})
}

func loopback(n int) string { return fmt.Sprintf("127.0.53.%d", n+1) }

// RunChange measures how long a changed record takes until every linked network answers it, from the
// moment at which the daemon begins to write it for the resolver.
func RunChange(ctx context.Context, r *figure.Report, self string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "zones.json")
	if err := dns.Write(file, zonesWith(0)); err != nil {
		return err
	}
	p, err := proc.Start(proc.Options{Core: -1, Log: filepath.Join(dir, "log")}, self, "role", RoleMany, dir)
	if err != nil {
		return err
	}
	defer p.Stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conns := make([]net.Conn, networks)
	for n := range conns {
		if conns[n], err = net.Dial("udp4", net.JoinHostPort(loopback(n), fmt.Sprint(changePort))); err != nil {
			return err
		}
		defer func() { _ = conns[n].Close() }()
	}
	var took []float64
	for change := range changes + 1 {
		begin := time.Now()
		if err := dns.Write(file, zonesWith(change)); err != nil {
			return err
		}
		if err := p.Until(ctx, func() bool { return all(conns, byte(change)) }); err != nil {
			return err
		}
		if change > 0 { // before, the sockets were opened
			took = append(took, float64(time.Since(begin).Microseconds())/1000)
		}
	}
	r.Add(figure.Row{Name: fmt.Sprintf("a record changed until %d networks answer it, p95", networks), Value: figure.Percentile(took, 0.95), Unit: "ms", Reach: figure.Reach{MostValue: 200},
		Note: fmt.Sprintf("%d changes, from the daemon's write for the resolver; p50 %.1f ms", changes, figure.Percentile(took, 0.5))})
	return nil
}

// all tells whether every network answers the change.
func all(conns []net.Conn, change byte) bool {
	q := query(changedLabel + "." + zone)
	b := make([]byte, 1232)
	for _, c := range conns {
		_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Write(q); err != nil {
			return false
		}
		n, err := c.Read(b)
		if err != nil || n < 4 || b[7] != 1 || b[n-1] != change {
			return false
		}
	}
	return true
}

func zonesWith(change int) spec.Zones {
	z := spec.Zones{Number: int64(change + 1), Private: map[string]spec.PrivateZone{"/zone": {Name: zone, Records: []spec.Record{
		{Name: changedLabel, Type: "A", TTL: 10, Address: []netip.Addr{netip.AddrFrom4([4]byte{10, 240, 0, byte(change)})}},
	}}}}
	for n := range networks {
		z.Networks = append(z.Networks, spec.ZoneNetwork{ID: fmt.Sprint("n", n), NetNS: "/" + loopback(n), Zones: []string{"/zone"}})
	}
	return z
}

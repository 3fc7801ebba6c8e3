// Package names measures the resolver: queries for names of a private zone over UDP, against CoreDNS with the
// same zone in a file, and Unbound.
package names

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloister.dev/cloister/bench/figure"
	"cloister.dev/cloister/bench/proc"
	"cloister.dev/cloister/internal/dns"
	"cloister.dev/cloister/internal/spec"
)

// RoleServer is the process that the benchmark's program starts of itself.
const RoleServer = "dns-server"

const (
	zone      = "privatelink.eastus.azmk8s.io"
	records   = 1000
	rounds    = 3
	roundTime = 2 * time.Second
)

// Ports on loopback of the three servers.
const (
	ourPort, corePort, unboundPort = 5301, 5302, 5303
)

// Serve is the process that is measured: the resolver over the zones in the folder.
func Serve(ctx context.Context, dir string) error {
	return dns.Serve(ctx, dns.Options{
		File: filepath.Join(dir, "zones.json"), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Listen: func(string, string) (net.PacketConn, net.Listener, error) {
			at := fmt.Sprintf("127.0.0.1:%d", ourPort)
			packet, err := net.ListenPacket("udp4", at)
			if err != nil {
				return nil, nil, err
			}
			stream, err := net.Listen("tcp4", at)
			return packet, stream, err
		},
	})
}

// server is one that is compared.
type server struct {
	name string
	port int
	args []string
	proc *proc.Process
}

// Run measures. self is the benchmark's program, coredns the one of CoreDNS, peers a root file system with unbound.
func Run(ctx context.Context, r *figure.Report, self, coredns, peers string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	names, err := write(dir, peers)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(unboundConfig(peers)) }()
	servers := []*server{
		{name: "Cloister", port: ourPort, args: []string{self, "role", RoleServer, dir}},
		{name: "CoreDNS file", port: corePort, args: []string{coredns, "-conf", filepath.Join(dir, "Corefile"), "-quiet"}},
		{name: "Unbound", port: unboundPort, args: []string{"chroot", peers, "unbound", "-d", "-c", "/bench-unbound.conf"}},
	}
	for _, s := range servers {
		if s.proc, err = proc.Start(proc.Options{Core: 0, Env: []string{"GOMAXPROCS=1"}, Dir: dir, Log: filepath.Join(dir, s.name+".log")}, s.args...); err != nil {
			return err
		}
		defer s.proc.Stop()
		if err := s.ready(ctx, names[0]); err != nil {
			return err
		}
	}
	values := make([][]float64, len(servers))
	for range rounds {
		for i, s := range servers {
			v, err := load(s.address(), names, roundTime, s.proc.PID)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			values[i] = append(values[i], v)
		}
	}
	row := figure.Row{
		Name: "DNS queries on one core, private zone, UDP", Value: figure.Percentile(values[0], 0.5), Unit: "/s", Peer: "CoreDNS file", Other: figure.Percentile(values[1], 0.5),
		Reach: figure.Reach{Least: 2}, Note: fmt.Sprintf("%d names, %d queries under way, per second of the server's CPU", records, sockets*window),
	}
	r.Add(row)
	row.Peer, row.Other, row.Reach = "Unbound", figure.Percentile(values[2], 0.5), figure.Reach{}
	r.Add(row)
	return nil
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// ready waits for the first answer.
func (s *server) ready(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return s.proc.Until(ctx, func() bool {
		conn, err := net.Dial("udp4", s.address())
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Write(query(name)); err != nil {
			return false
		}
		b := make([]byte, 1232)
		n, err := conn.Read(b)
		return err == nil && n > 12 && b[7] == 1
	})
}

func unboundConfig(peers string) string { return filepath.Join(peers, "bench-unbound.conf") }

// write writes the zone for all three, and returns its names.
func write(dir, peers string) ([]string, error) {
	var names []string
	var file, local strings.Builder
	fmt.Fprintf(&file, "$ORIGIN %s.\n@ 3600 IN SOA ns.%[1]s. host.%[1]s. 1 3600 600 86400 60\n@ 3600 IN NS ns\nns 3600 IN A 192.0.2.1\n", zone)
	private := spec.PrivateZone{Name: zone}
	for i := range records {
		label, a := fmt.Sprintf("cluster-%04d", i), netip.AddrFrom4([4]byte{10, 240, byte(i >> 8), byte(i)})
		names = append(names, label+"."+zone)
		fmt.Fprintf(&file, "%s 300 IN A %s\n", label, a)
		fmt.Fprintf(&local, "  local-data: \"%s.%s. 300 IN A %s\"\n", label, zone, a)
		private.Records = append(private.Records, spec.Record{Name: label, Type: "A", TTL: 300, Address: []netip.Addr{a}})
	}
	z := spec.Zones{Number: 1, Private: map[string]spec.PrivateZone{"/zone": private}, Networks: []spec.ZoneNetwork{{ID: "/network", Zones: []string{"/zone"}}}}
	for path, text := range map[string]string{
		filepath.Join(dir, "zone"):     file.String(),
		filepath.Join(dir, "Corefile"): fmt.Sprintf("%s:%d {\n bind 127.0.0.1\n file %s/zone\n}\n", zone, corePort, dir),
		unboundConfig(peers):           fmt.Sprintf("server:\n  interface: 127.0.0.1\n  port: %d\n  num-threads: 1\n  do-daemonize: no\n  use-syslog: no\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  logfile: \"\"\n  access-control: 127.0.0.0/8 allow\n  local-zone: \"%s.\" static\n%s", unboundPort, zone, local.String()),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return names, dns.Write(filepath.Join(dir, "zones.json"), z)
}

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/images"
	"cloister.dev/cloister/internal/local"
	"cloister.dev/cloister/internal/netplan"
)

// checkHost finds out what is missing before anything is changed, and says all of
// it in plain words. It changes nothing.
func checkHost(ctx context.Context, c config.Config) error {
	if os.Geteuid() != 0 {
		return errors.New("up: namespaces, packet filters and containers need root: sudo cloister up")
	}
	var missing []string
	missing = append(missing, images.Missing(ctx, c.CacheDir)...)
	if _, err := exec.LookPath("nft"); err != nil {
		missing = append(missing, "nft is missing: apt-get install nftables")
	}
	for _, f := range []struct{ path, what string }{
		{"/proc/self/ns/net", "network namespaces (CONFIG_NET_NS)"}, {"/proc/self/ns/mnt", "mount namespaces"}, {"/proc/sys/net/ipv4/ip_forward", "IPv4 forwarding"}, {"/sys/fs/cgroup", "control groups"},
	} {
		if _, err := os.Stat(f.path); err != nil {
			missing = append(missing, "the kernel lacks "+f.what)
		}
	}
	if fs, err := os.ReadFile("/proc/filesystems"); err == nil && !strings.Contains(string(fs), "\toverlay\n") {
		missing = append(missing, "the kernel lacks overlayfs: modprobe overlay")
	}
	if _, err := local.NewClient(c.RunDir).Status(ctx); errors.Is(err, local.ErrDown) {
		// While Cloister runs, the pool's route is its own.
		clash, err := poolClash(c.PublicPool)
		if err != nil {
			return err
		}
		missing = append(missing, clash...)
		if c.Listen != "" {
			l, err := net.Listen("tcp", c.Listen)
			if err != nil {
				missing = append(missing, fmt.Sprintf("listen: %v: set another port", err))
			} else if err := l.Close(); err != nil {
				return err
			}
		}
	}
	for _, need := range []struct {
		dir string
		gib int64
	}{{c.CacheDir, 10}, {c.DataDir, 2}} {
		if full, err := lacksSpace(need.dir, need.gib<<30); err != nil {
			return err
		} else if full != "" {
			missing = append(missing, full)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("this host is not ready:\n  - %s", strings.Join(missing, "\n  - "))
	}
	return nil
}

// lacksSpace says what is missing for the folder, or for the first one above it that is there.
// Built artefacts are counted: where they are, no space is needed for them.
func lacksSpace(dir string, want int64) (string, error) {
	if built, err := os.ReadDir(filepath.Join(dir, "artefacts")); err == nil && len(built) > 0 {
		want = 1 << 30
	}
	for {
		free, err := freeSpace(dir)
		if errors.Is(err, os.ErrNotExist) && dir != "/" {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return "", fmt.Errorf("free space of %s: %w", dir, err)
		}
		if free >= want {
			return "", nil
		}
		return fmt.Sprintf("the disk at %s has %.1f GiB left and needs %.1f: make room, or set dataDir and cacheDir to other disks", dir, float64(free)/(1<<30), float64(want)/(1<<30)), nil
	}
}

// poolClash finds addresses and routes of the host that lie in the pool.
func poolClash(pool netip.Prefix) ([]string, error) {
	var out []string
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var addrs []net.Addr
	for _, l := range links {
		if l.Name == netplan.HostLink {
			continue // it is there when the daemon ended and what it made goes on
		}
		of, err := l.Addrs()
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, of...)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Overlaps(pool) {
			out = append(out, fmt.Sprintf("the pool %s overlaps this host's address %s: set publicPool to a range that nothing here uses", pool, p))
		}
	}
	text, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		// "*" is a route to nowhere, as ours beside the link.
		if len(f) < 8 || f[0] == netplan.HostLink || f[0] == "*" {
			continue
		}
		to, err1 := hexAddr(f[1])
		mask, err2 := hexAddr(f[7])
		if err1 != nil || err2 != nil {
			continue // the heading
		}
		m := mask.As4()
		ones, _ := net.IPMask(m[:]).Size()
		if p := netip.PrefixFrom(to, ones); ones > 0 && p.Overlaps(pool) {
			out = append(out, fmt.Sprintf("the pool %s overlaps the route %s by %s: set publicPool to a range that nothing here uses", pool, p, f[0]))
		}
	}
	return out, nil
}

func hexAddr(s string) (netip.Addr, error) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.AddrFrom4([4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}), nil
}

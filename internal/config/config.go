// Package config is Cloister's configuration: plain data with defaults and a check.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Config is all that can be configured. The zero value is not valid; start from Default.
type Config struct {
	DataDir string `json:"dataDir"` // what must last: images, volumes, store, keys
	RunDir  string `json:"runDir"`  // sockets, pinned namespaces, plans: gone after a reboot
	// CacheDir holds built artefacts by content; it may be shared and can be deleted.
	CacheDir string `json:"cacheDir"`
	// Cgroup is the only cgroup of the host below which containers run.
	Cgroup string `json:"cgroup"`
	// Group is the Unix group, by name or number, whose members use Cloister without root. It need not exist.
	Group string `json:"group"`
	// SourceDir is Cloister's source tree, from which artefacts are built; empty: only ready ones are used.
	SourceDir string `json:"sourceDir,omitempty"`
	// PublicPool is the prefix of public addresses on the edge. The first address is
	// the edge itself, the second the ARM endpoint, the third the public DNS server.
	PublicPool netip.Prefix `json:"publicPool"`
	// Listen is a loopback address and a port of this host at which the ARM endpoint answers, too, and which it
	// then calls itself: for clients that come by a tunnel. Virtual networks cannot reach it.
	Listen   string   `json:"listen,omitempty"`
	Regions  []string `json:"regions"` // the first is the default
	TenantID string   `json:"tenantID,omitempty"`
	// SubscriptionID of the subscription that the first `up` makes; random if empty, then kept.
	SubscriptionID string `json:"subscriptionID,omitempty"`
	// LANPrefixes may be reached from virtual networks although they are private ranges.
	LANPrefixes []netip.Prefix `json:"lanPrefixes,omitempty"`
	// Upstreams are DNS servers (address:port) for names outside; empty: those of the host.
	Upstreams []string `json:"upstreams,omitempty"`
	// StoreEndpoints names an external etcd cluster; empty: the embedded one.
	StoreEndpoints []string `json:"storeEndpoints,omitempty"`
	TokenLifetime  Duration `json:"tokenLifetime"`
	LogLevel       string   `json:"logLevel"`
	// CertificateLifetime is how long the certificates of clusters are valid; they are made anew after two thirds of it.
	CertificateLifetime Duration `json:"certificateLifetime"`
}

// Default is the configuration of a host that configures nothing.
func Default() Config {
	return Config{
		DataDir: "/var/lib/cloister", RunDir: "/run/cloister", CacheDir: "/var/cache/cloister",
		Cgroup:        "/cloister",
		Group:         "cloister",
		PublicPool:    netip.MustParsePrefix("198.51.100.0/24"),
		Regions:       []string{"eastus", "westus2", "westeurope", "northeurope"},
		TokenLifetime: Duration(time.Hour),
		LogLevel:      "info",

		CertificateLifetime: maxCertificateLifetime,
	}
}

// Certificates of clusters are valid for two years, or less by configuration. In less than three minutes a program may
// not have read the new certificate again when the old one ends.
const (
	minCertificateLifetime = Duration(3 * time.Minute)
	maxCertificateLifetime = Duration(2 * 365 * 24 * time.Hour)
)

// cgroupName is a path that stays below the root, and is not the root.
var cgroupName = regexp.MustCompile(`^(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$`)

// Validate names every mistake.
func (c Config) Validate() error {
	var errs []error
	for name, dir := range map[string]string{"dataDir": c.DataDir, "runDir": c.RunDir, "cacheDir": c.CacheDir} {
		if !filepath.IsAbs(dir) {
			errs = append(errs, fmt.Errorf("%s: %q is not an absolute path", name, dir))
		}
	}
	if c.Group == "" || c.Group == "root" || c.Group == "0" || strings.ContainsAny(c.Group, " \t\n:,") {
		errs = append(errs, fmt.Errorf("group: %q is not the name of a group like cloister", c.Group))
	}
	if !cgroupName.MatchString(c.Cgroup) {
		errs = append(errs, fmt.Errorf("cgroup: %q is not the path of a cgroup like /cloister", c.Cgroup))
	}
	if !c.PublicPool.IsValid() || !c.PublicPool.Addr().Is4() || c.PublicPool.Bits() > 28 {
		errs = append(errs, fmt.Errorf("publicPool: %s is not an IPv4 prefix of /28 or larger", c.PublicPool))
	}
	if c.Listen != "" {
		if a, err := netip.ParseAddrPort(c.Listen); err != nil || !a.Addr().IsLoopback() || a.Port() == 0 {
			errs = append(errs, fmt.Errorf("listen: %q is not a loopback address and a port like 127.0.0.1:8443", c.Listen))
		}
	}
	if len(c.Regions) == 0 {
		errs = append(errs, errors.New("regions: at least one is needed"))
	}
	if c.TokenLifetime < Duration(time.Minute) {
		errs = append(errs, fmt.Errorf("tokenLifetime: %s is shorter than a minute", c.TokenLifetime))
	}
	if c.CertificateLifetime < minCertificateLifetime || c.CertificateLifetime > maxCertificateLifetime {
		errs = append(errs, fmt.Errorf("certificateLifetime: %s is not between %s and %s", c.CertificateLifetime, minCertificateLifetime, maxCertificateLifetime))
	}
	return errors.Join(errs...)
}

// EdgeAddress is the pool's first address: the edge, by which the host reaches the pool.
func (c Config) EdgeAddress() netip.Addr { return c.PublicPool.Masked().Addr().Next() }

// ARMAddress is the pool's second address.
func (c Config) ARMAddress() netip.Addr { return c.EdgeAddress().Next() }

// DNSAddress is the pool's third address: the public DNS server.
func (c Config) DNSAddress() netip.Addr { return c.ARMAddress().Next() }

// BaseURL is the one URL of the ARM endpoint, without a slash at its end.
func (c Config) BaseURL() string {
	if c.Listen != "" {
		return "https://" + c.Listen
	}
	return "https://" + c.ARMAddress().String()
}

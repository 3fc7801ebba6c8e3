package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"sort"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// DefaultFile is read when no file is named; it need not exist.
const DefaultFile = "/etc/cloister/cloister.yaml"

// Load reads the configuration: defaults, then the file (YAML; "" means
// DefaultFile if it exists), then the environment (CLOISTER_DATA_DIR, …).
// The caller puts flags on top, and calls Validate.
func Load(file string, environ []string) (Config, error) {
	c := Default()
	path := file
	if path == "" {
		path = DefaultFile
	}
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := yaml.UnmarshalStrict(b, &c); err != nil {
			return c, fmt.Errorf("configuration file %s: %w", path, err)
		}
	case file != "" || !errors.Is(err, fs.ErrNotExist):
		return c, fmt.Errorf("configuration file: %w", err)
	}
	return c, c.fromEnvironment(environ)
}

// setters is what the environment can set, by variable.
var setters = map[string]func(*Config, string) error{
	"CLOISTER_DATA_DIR":        func(c *Config, v string) error { c.DataDir = v; return nil },
	"CLOISTER_RUN_DIR":         func(c *Config, v string) error { c.RunDir = v; return nil },
	"CLOISTER_CACHE_DIR":       func(c *Config, v string) error { c.CacheDir = v; return nil },
	"CLOISTER_CGROUP":          func(c *Config, v string) error { c.Cgroup = v; return nil },
	"CLOISTER_GROUP":           func(c *Config, v string) error { c.Group = v; return nil },
	"CLOISTER_SOURCE_DIR":      func(c *Config, v string) error { c.SourceDir = v; return nil },
	"CLOISTER_LISTEN":          func(c *Config, v string) error { c.Listen = v; return nil },
	"CLOISTER_TENANT_ID":       func(c *Config, v string) error { c.TenantID = v; return nil },
	"CLOISTER_SUBSCRIPTION_ID": func(c *Config, v string) error { c.SubscriptionID = v; return nil },
	"CLOISTER_LOG_LEVEL":       func(c *Config, v string) error { c.LogLevel = v; return nil },
	"CLOISTER_REGIONS":         func(c *Config, v string) error { c.Regions = strings.Split(v, ","); return nil },
	"CLOISTER_UPSTREAMS":       func(c *Config, v string) error { c.Upstreams = strings.Split(v, ","); return nil },
	"CLOISTER_PUBLIC_POOL": func(c *Config, v string) (err error) {
		c.PublicPool, err = netip.ParsePrefix(v)
		return err
	},
	"CLOISTER_CERTIFICATE_LIFETIME": func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		c.CertificateLifetime = Duration(d)
		return err
	},
	"CLOISTER_TOKEN_LIFETIME": func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		c.TokenLifetime = Duration(d)
		return err
	},
}

// Variables lists the environment variables that Load reads.
func Variables() []string {
	out := make([]string, 0, len(setters))
	for name := range setters {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

func (c *Config) fromEnvironment(environ []string) error {
	var errs []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if set := setters[name]; set != nil && value != "" {
			if err := set(c, value); err != nil {
				errs = append(errs, fmt.Errorf("environment variable %s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}

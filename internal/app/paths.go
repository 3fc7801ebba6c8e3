package app

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"cloister.dev/cloister/internal/config"
)

// PlatformDNS is the resolver's address inside each virtual network.
var PlatformDNS = netip.MustParseAddr("168.63.129.16")

// PublicDir holds what every user may read: certificates and the bundle.
func PublicDir(c config.Config) string { return filepath.Join(c.DataDir, "public") }

// BundleFile is the system's certificates and Cloister's, in one file.
func BundleFile(c config.Config) string { return filepath.Join(PublicDir(c), "ca-bundle.pem") }

// CredentialsFile is the administrator's, mode 0600.
func CredentialsFile(c config.Config) string { return filepath.Join(c.DataDir, "admin.json") }

// sealFile holds the key of what is kept encrypted in the store, mode 0600.
func sealFile(c config.Config) string { return filepath.Join(c.DataDir, "seal.key") }

// LogFile is the daemon's log.
func LogFile(c config.Config) string { return filepath.Join(c.DataDir, "log", "cloister.log") }

// pidFile names the process that `up` started.
func pidFile(c config.Config) string { return filepath.Join(c.RunDir, "cloister.pid") }

// lockFile is held by the daemon while it runs.
func lockFile(c config.Config) string { return filepath.Join(c.RunDir, "cloister.lock") }

// zonesFile is what the resolver reads.
func zonesFile(c config.Config) string { return filepath.Join(c.RunDir, "dns", "zones.json") }

// storeSocket is where the etcd of Cloister's own resources listens.
func storeSocket(c config.Config) string {
	return filepath.Join(c.DataDir, "volumes", storeVolume, "client.sock")
}

// folder is one of Cloister's, with its mode.
type folder struct {
	path string
	mode os.FileMode
}

// folders are those that there are before anything starts, outer ones first.
func folders(c config.Config) []folder {
	return []folder{
		{c.DataDir, 0o755}, {c.CacheDir, 0o755}, {c.RunDir, 0o755}, {PublicDir(c), 0o755},
		{filepath.Join(c.DataDir, "log"), 0o700}, {filepath.Join(c.DataDir, "tls"), 0o700}, {filepath.Dir(zonesFile(c)), 0o700},
	}
}

// makeDirs makes the folders, with their modes.
func makeDirs(list []folder) error {
	for _, f := range list {
		if err := os.MkdirAll(f.path, f.mode); err != nil {
			return fmt.Errorf("make folder %s: %w", f.path, err)
		}
	}
	return nil
}

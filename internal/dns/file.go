package dns

import (
	"encoding/json"
	"fmt"
	"os"

	"cloister.dev/cloister/internal/atomicfile"
	"cloister.dev/cloister/internal/spec"
)

// Write writes the zones to a file that Serve reads, at once or not at all.
func Write(path string, z spec.Zones) error {
	b, err := json.Marshal(z)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, b, 0o600)
}

// Read reads the zones.
func Read(path string) (spec.Zones, error) {
	var z spec.Zones
	b, err := os.ReadFile(path)
	if err != nil {
		return z, err
	}
	if err := json.Unmarshal(b, &z); err != nil {
		return z, fmt.Errorf("zones in %s: %w", path, err)
	}
	return z, nil
}

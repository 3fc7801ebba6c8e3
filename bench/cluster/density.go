package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloister.dev/cloister/bench/figure"
	"cloister.dev/cloister/internal/fabric"
)

const (
	reachClusters = 20
	leastFree     = 1 << 30 // bytes of memory that the machine keeps
	smallTime     = 2 * time.Minute
)

// small makes a private cluster with one node in a network of its own, and waits until it is there.
func (m *measurement) small(ctx context.Context, group string) error {
	ctx, cancel := context.WithTimeout(ctx, smallTime)
	defer cancel()
	i := m.instance
	subnet, err := i.network(ctx, group)
	if err != nil {
		return err
	}
	id := i.group(group) + "/providers/Microsoft.ContainerService/managedClusters/c"
	if _, err := i.azure.Do(ctx, http.MethodPut, id+version, map[string]any{
		"location": "eastus", "identity": map[string]any{"type": "SystemAssigned"},
		"properties": map[string]any{
			"dnsPrefix":              group,
			"apiServerAccessProfile": map[string]any{"enablePrivateCluster": true},
			"networkProfile":         map[string]any{"networkPlugin": "azure", "serviceCidr": "10.2.0.0/24", "dnsServiceIP": "10.2.0.10"},
			"agentPoolProfiles":      []any{map[string]any{"name": "nodepool1", "mode": "System", "count": 1, "vmSize": "Standard_DS2_v2", "type": "VirtualMachineScaleSets", "vnetSubnetID": subnet}},
		},
	}); err != nil {
		return err
	}
	for {
		var doc struct {
			Properties struct {
				State string `json:"provisioningState"`
			} `json:"properties"`
		}
		b, err := i.azure.Do(ctx, http.MethodGet, id+version, nil)
		if err == nil {
			err = json.Unmarshal(b, &doc)
		}
		switch {
		case err != nil:
			return err
		case doc.Properties.State == "Succeeded":
			return nil
		case doc.Properties.State == "Failed":
			return fmt.Errorf("cluster of %s: %s", group, b)
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("cluster of %s is not there: %w", group, err)
		}
	}
}

// density, the last of an instance's measurements, makes clusters until they are Most, the machine's memory ends or one does not come; then all must answer.
func (m *measurement) density(ctx context.Context) error {
	if m.Most == 0 {
		return nil
	}
	made, why := 0, fmt.Sprintf("more than %d were not tried", m.Most)
	for made < m.Most {
		free, err := available()
		if err != nil {
			return err
		}
		if free < leastFree {
			why = fmt.Sprintf("%d MiB of memory were left", free>>20)
			break
		}
		if err := m.small(ctx, fmt.Sprintf("many%d", made)); err != nil {
			if ctx.Err() != nil {
				return err
			}
			why = err.Error()
			break
		}
		made++
	}
	answering, err := m.answering(ctx)
	if err != nil {
		return err
	}
	m.report.Add(figure.Row{Name: "idle private clusters with one node, all answering", Value: float64(min(made, answering)), Reach: figure.Reach{LeastValue: reachClusters}, Note: why})
	return nil // what was made goes with the instance: to delete one by one takes long on a full machine
}

// available is the memory that programs can still have.
func available() (int64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	var kb int64
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kb); err == nil {
			return kb << 10, nil
		}
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}

// answering counts the API servers that say they are ready, each asked in its own namespace.
func (m *measurement) answering(ctx context.Context) (int, error) {
	dir := filepath.Join(m.instance.dir, "run")
	f, err := fabric.New(fabric.Options{RunDir: dir})
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	n := 0
	for _, sandbox := range planes() {
		client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // inside its namespace
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return f.Dial(ctx, sandbox, "tcp", "127.0.0.1:443")
			},
		}}
		if healthy(ctx, client, "https://plane/readyz") {
			n++
		}
		client.CloseIdleConnections()
	}
	return n, nil
}

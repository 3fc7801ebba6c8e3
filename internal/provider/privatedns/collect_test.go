package privatedns_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/privatedns"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store/storetest"
)

const (
	vnet  = rg + "/providers/Microsoft.Network/virtualNetworks/V"
	zones = rg + "/providers/Microsoft.Network/privateDnsZones/"
)

var admin = arm.Principal{ObjectID: "admin", Kind: "User"}

type doc = map[string]any

func props(p doc) doc { return doc{"properties": p} }

// prepared is a server with a group, a network and two zones.
func prepared(t *testing.T) (*arm.Server, func(id string, body doc) error) {
	t.Helper()
	server := newServer(t, storetest.New(t))
	write := func(id string, body doc) error {
		_, err := server.Write(t.Context(), admin, id, body, "")
		return err
	}
	for _, w := range []struct {
		id   string
		body doc
	}{
		{rg, doc{"location": "eastus"}},
		{vnet, doc{"location": "eastus", "properties": doc{"addressSpace": doc{"addressPrefixes": []any{"10.0.0.0/16"}}}}},
		{zones + "Z.example", doc{}}, {zones + "y.example", doc{}},
	} {
		if err := write(w.id, w.body); err != nil {
			t.Fatal(err)
		}
	}
	return server, write
}

func TestCollect(t *testing.T) {
	server, write := prepared(t)
	link := props(doc{"virtualNetwork": doc{"id": vnet}})
	for id, body := range map[string]doc{
		"Z.example/A/Host":                props(doc{"ttl": 60, "aRecords": []any{doc{"ipv4Address": "10.0.0.4"}, doc{"ipv4Address": "10.0.0.5"}}}),
		"Z.example/A/empty":               props(doc{}),
		"Z.example/CNAME/www":             props(doc{"ttl": 5, "cnameRecord": doc{"cname": "Host.Z.example."}}),
		"Z.example/virtualNetworkLinks/l": link,
		"y.example/virtualNetworkLinks/l": link,
		"Z.example/A/gone":                props(doc{"aRecords": []any{doc{"ipv4Address": "10.0.0.6"}}}),
	} {
		if err := write(zones+id, body); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"Z.example/A/gone", "y.example/virtualNetworkLinks/l"} {
		if _, err := server.Delete(t.Context(), admin, zones+id); err != nil {
			t.Fatal(err)
		}
	}
	got, links, err := privatedns.Collect(t.Context(), server.Resources().Store)
	if err != nil {
		t.Fatal(err)
	}
	z, y := strings.ToLower(zones+"z.example"), strings.ToLower(zones+"y.example")
	want := map[string]spec.PrivateZone{
		z: {Name: "z.example", Records: []spec.Record{
			{Name: "host", Type: "A", TTL: 60, Address: []netip.Addr{netip.MustParseAddr("10.0.0.4"), netip.MustParseAddr("10.0.0.5")}},
			{Name: "www", Type: "CNAME", TTL: 5, Target: "host.z.example"},
		}},
		y: {Name: "y.example", Records: []spec.Record{}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("zones are\n%v\nwant\n%v", got, want)
	}
	if want := map[string][]string{strings.ToLower(vnet): {z}}; !reflect.DeepEqual(links, want) {
		t.Errorf("links are %v, want %v", links, want)
	}
}

// TestAtOnce sends what cannot stand side by side at the same time: one of it is made.
func TestAtOnce(t *testing.T) {
	_, write := prepared(t)
	link := props(doc{"virtualNetwork": doc{"id": vnet}})
	for name, tries := range map[string]map[string]doc{
		"a CNAME beside an A": {
			"z.example/A/host":     props(doc{"aRecords": []any{doc{"ipv4Address": "10.0.0.4"}}}),
			"z.example/CNAME/host": props(doc{"cnameRecord": doc{"cname": "x.example"}}),
		},
		"two links of a network": {"z.example/virtualNetworkLinks/a": link, "z.example/virtualNetworkLinks/b": link},
	} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			results := make(chan error, len(tries))
			for id, body := range tries {
				wg.Go(func() { results <- write(zones+id, body) })
			}
			wg.Wait()
			close(results)
			made := 0
			for err := range results {
				var e *arm.Error
				switch {
				case err == nil:
					made++
				case !errors.As(err, &e):
					t.Error(err)
				}
			}
			if made != 1 {
				t.Errorf("%d were made, want 1", made)
			}
		})
	}
}

// TestClusterLink is a cluster's own link beside a person's.
func TestClusterLink(t *testing.T) {
	server, write := prepared(t)
	link := props(doc{"virtualNetwork": doc{"id": vnet}})
	if err := write(zones+"z.example/virtualNetworkLinks/person", link); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write(t.Context(), arm.System, zones+"z.example/virtualNetworkLinks/cluster", link, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Delete(t.Context(), admin, zones+"z.example/virtualNetworkLinks/person"); err != nil {
		t.Fatal(err)
	}
	_, links, err := privatedns.Collect(t.Context(), server.Resources().Store)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(links[strings.ToLower(vnet)]); n != 1 {
		t.Errorf("the network sees %d zones, want 1: the cluster's link is still there", n)
	}
}

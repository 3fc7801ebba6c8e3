package sizes

import (
	"context"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
)

func TestLookupAnyCase(t *testing.T) {
	s, ok := Lookup("standard_ds2_V2")
	if !ok || s.Name != Default || s.MilliCPU() != 2000 || s.MemoryBytes() != 7<<30 {
		t.Errorf("got %+v, %v", s, ok)
	}
	if _, ok := Lookup("Standard_Nonsense"); ok {
		t.Error("an unknown size was found")
	}
}

func TestTableIsSane(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range All() {
		if seen[s.Name] || s.Cores < 1 || s.MemoryMiB < 1024 || s.Family == "" {
			t.Errorf("bad or double entry %+v", s)
		}
		seen[s.Name] = true
	}
	for _, name := range strings.Split(Some(), ", ") {
		if !seen[name] {
			t.Errorf("errors recommend %s, which is not in the table", name)
		}
	}
}

func TestRoutes(t *testing.T) {
	routes := Routes([]string{"eastus", "westus2"})
	answer, err := routes[0].Serve(context.Background(), &arm.RouteRequest{Params: map[string]string{"location": "East US"}})
	if err != nil || len(answer.Body.(map[string]any)["value"].([]any)) != len(All()) {
		t.Errorf("vmSizes: %v, %v", answer, err)
	}
	if _, err := routes[0].Serve(context.Background(), &arm.RouteRequest{Params: map[string]string{"location": "mars"}}); err == nil {
		t.Error("sizes of a region that is not there")
	}
	answer, err = routes[1].Serve(context.Background(), &arm.RouteRequest{Query: map[string]string{"$filter": "location eq 'westus2'"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range answer.Body.(map[string]any)["value"].([]any) {
		if l := v.(map[string]any)["locations"].([]any)[0]; l != "westus2" {
			t.Fatalf("a size of %v", l)
		}
	}
}

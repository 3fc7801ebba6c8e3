package shape

import (
	"reflect"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
)

func TestDoc(t *testing.T) {
	d := Doc{"a": map[string]any{"b": "x", "n": 3.0, "empty": "", "zero": 0.0, "no": false}, "l": []any{"p", 1.0, "q"}}
	if d.Str("a.b") != "x" || d.Int("a.n") != 3 || d.Str("a.b.c") != "" || d.Int("a.b") != 0 || d.Bool("a") {
		t.Error("reading goes wrong")
	}
	if got := d.Strings("l"); !reflect.DeepEqual(got, []string{"p", "q"}) {
		t.Errorf("strings %v", got)
	}
	d.Default("a.empty", "e")
	d.Default("a.zero", 1.0)
	d.Default("a.b", "no")
	d.Default("a.no", true)
	d.Default("new.deep", "d")
	d.Missing("a.no", true)
	if d.Str("a.empty") != "e" || d.Int("a.zero") != 1 || d.Str("a.b") != "x" || d.Bool("a.no") || d.Str("new.deep") != "d" {
		t.Errorf("defaults: %v", d)
	}
	d.Remove("a.b")
	d.Remove("nothing.there")
	if d.At("a.b") != nil {
		t.Error("removed and still there")
	}
}

func TestKeepLeavesPeoplesMapsAlone(t *testing.T) {
	d := Doc{"nodeLabels": map[string]any{"mine": "1"}}
	d.Keep(Doc{"nodeLabels": map[string]any{"taken": "out"}, "tags": map[string]any{"not": "sent"}})
	if l := d.Doc("nodeLabels"); len(l) != 1 || l["mine"] != "1" || d.Doc("tags")["not"] != "sent" {
		t.Errorf("%v", d)
	}
}

func TestKeep(t *testing.T) {
	d := Doc{"a": map[string]any{"mine": 1.0}, "l": []any{"new"}, "null": nil}
	d.Keep(Doc{"a": map[string]any{"mine": 2.0, "old": 3.0}, "l": []any{"old", "older"}, "b": "kept", "null": "x"})
	want := Doc{"a": map[string]any{"mine": 1.0, "old": 3.0}, "l": []any{"new"}, "b": "kept", "null": nil}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got %v", d)
	}
}

func TestCheckKinds(t *testing.T) {
	w := &arm.Write{}
	d := Doc{"s": 1.0, "n": 1.5, "o": []any{}, "fine": "x", "null": nil}
	if CheckKinds(w, d, "p.", map[string]Kind{"s": String, "n": Number, "o": Object, "fine": String, "null": Array, "missing": Boolean}) || len(w.Problems) != 3 {
		t.Errorf("problems %v", w.Problems)
	}
}

func TestVersions(t *testing.T) {
	v := Versions{"1.37.1", "1.36.5", "1.36.4", "1.35.9"}
	for asked, want := range map[string]string{"1.36.4": "1.36.4", "1.36": "1.36.5", "1.3": "", "1.38": "", "": "", "1": ""} {
		if got, ok := v.Resolve(asked); got != want || ok != (want != "") {
			t.Errorf("%q is %q, %v", asked, got, ok)
		}
	}
	if got := v.Upgrades("1.35.9"); !reflect.DeepEqual(got, []string{"1.36.5", "1.36.4"}) {
		t.Errorf("upgrades of 1.35.9: %v", got)
	}
	if got := v.Upgrades("1.37.1"); got != nil {
		t.Errorf("upgrades of the newest: %v", got)
	}
	if Compare("1.9.0", "1.10.0") >= 0 || Compare("v1.2.3", "1.2.3") != 0 {
		t.Error("versions are not compared as numbers")
	}
}

func TestInstanceName(t *testing.T) {
	for n, want := range map[int]string{0: "s000000", 9: "s000009", 10: "s00000a", 35: "s00000z", 36: "s000010"} {
		if got := InstanceName("s", n); got != want {
			t.Errorf("instance %d is %s, want %s", n, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	n, err := Choose()
	if err != nil {
		t.Fatal(err)
	}
	r := &arm.Resource{ID: "/subscriptions/s/resourceGroups/g/providers/" + ClusterType + "/c"}
	if _, err := NamesOf(r); err == nil {
		t.Error("names of a cluster that has none")
	}
	if err := n.Store(r); err != nil {
		t.Fatal(err)
	}
	got, err := NamesOf(r)
	if err != nil || got != n {
		t.Errorf("stored %+v, read %+v, %v", n, got, err)
	}
	if len(n.Cluster) != 10 || len(n.Digits) != 8 || n.PublicHash == n.PrivateHash || strings.ToLower(n.Cluster) != n.Cluster {
		t.Errorf("names %+v", n)
	}
}

func TestZones(t *testing.T) {
	const own = "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/privateDnsZones/privatelink.eastus.azmk8s.io"
	base := func(zone string) Cluster {
		r := &arm.Resource{ID: "/subscriptions/s/resourceGroups/g/providers/" + ClusterType + "/c", Body: map[string]any{"location": "East US", "properties": map[string]any{
			"dnsPrefix": "Pre", "nodeResourceGroup": "MC_g_c_eastus", "apiServerAccessProfile": map[string]any{"privateDNSZone": zone, "enablePrivateClusterPublicFQDN": true},
		}}}
		return Cluster{Resource: r, Names: Names{PublicHash: "aaaaaaaa", PrivateHash: "bbbbbbbb", Zone: "guid"}, Props: r.Properties()}
	}
	sub := base(own)
	sub.Props.Remove("dnsPrefix")
	sub.Props.Set("fqdnSubdomain", "api")
	for _, c := range []struct {
		name                  string
		c                     Cluster
		private, public, link string
	}{
		{"system", base(ZoneSystem), "pre-bbbbbbbb.guid.privatelink.eastus.azmk8s.io", "pre-aaaaaaaa.hcp.eastus.azmk8s.io", "Pre-bbbbbbbb"},
		{"none", base(ZoneNone), "", "pre-aaaaaaaa.hcp.eastus.azmk8s.io", "Pre-bbbbbbbb"},
		{"own", base(own), "pre-bbbbbbbb.privatelink.eastus.azmk8s.io", "pre-aaaaaaaa.hcp.eastus.azmk8s.io", "Pre-bbbbbbbb"},
		{"subdomain", sub, "api.privatelink.eastus.azmk8s.io", "api-aaaaaaaa.hcp.eastus.azmk8s.io", "api-bbbbbbbb"},
	} {
		if c.c.PrivateFQDN() != c.private || c.c.PublicFQDN() != c.public || c.c.LinkName() != c.link {
			t.Errorf("%s: %s, %s, %s", c.name, c.c.PrivateFQDN(), c.c.PublicFQDN(), c.c.LinkName())
		}
	}
}

package kit

import (
	"net/netip"
	"testing"

	"cloister.dev/cloister/internal/arm"
)

func TestReservedFor(t *testing.T) {
	pool := netip.MustParsePrefix("198.51.100.0/24")
	for prefix, reserved := range map[string]bool{
		"10.0.0.0/8": false, "172.16.0.0/12": false, "192.168.0.0/16": false, "100.64.0.0/10": false, "20.0.0.0/8": false, "168.63.128.0/24": false,
		"168.63.129.0/24": true, "169.254.1.0/24": true, "127.0.0.0/8": true, "224.0.0.0/8": true, "255.255.255.0/24": true, "240.0.0.0/24": true,
		"198.51.100.128/25": true, "198.51.0.0/16": true, "0.0.0.0/1": true,
	} {
		if got := ReservedFor(netip.MustParsePrefix(prefix), pool); (got != "") != reserved {
			t.Errorf("%s: %q", prefix, got)
		}
	}
}

func TestWithin(t *testing.T) {
	space := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("10.2.0.0/16")}
	for prefix, in := range map[string]bool{"10.0.0.0/16": true, "10.0.1.0/24": true, "10.2.255.0/24": true, "10.1.0.0/24": false, "10.0.0.0/15": false} {
		if Within(netip.MustParsePrefix(prefix), space) != in {
			t.Errorf("%s", prefix)
		}
	}
}

func TestCheckKinds(t *testing.T) {
	doc := Doc{"s": "x", "n": float64(3), "f": 1.5, "b": true, "o": map[string]any{"in": "y"}, "a": []any{"x", float64(1)}, "l": []any{"x"}, "d": []any{map[string]any{}}, "z": nil}
	for name, c := range map[string]struct {
		kinds map[string]Kind
		good  bool
	}{
		"all good":         {map[string]Kind{"s": String, "n": Number, "b": Boolean, "o": Object, "a": Array, "l": Strings, "d": Objects, "z": String, "missing": Object, "o.in": String}, true},
		"fraction":         {map[string]Kind{"f": Number}, false},
		"mixed strings":    {map[string]Kind{"a": Strings}, false},
		"strings, objects": {map[string]Kind{"l": Objects}, false},
		"nested":           {map[string]Kind{"o.in": Number}, false},
		"text for object":  {map[string]Kind{"s": Object}, false},
	} {
		w := &arm.Write{}
		if CheckKinds(w, doc, "properties.", c.kinds) != c.good || (len(w.Problems) == 0) != c.good {
			t.Errorf("%s: %v", name, w.Problems)
		}
	}
}

func TestUserID(t *testing.T) {
	const scaleSet = "/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualmachinescalesets/aks-np-vmss"
	for owner, want := range map[string]string{
		scaleSet + "/0/nic": scaleSet + "/virtualMachines/0/networkInterfaces/aks-np-vmss/ipConfigurations/ipconfig1",
		"session/1a2b":      "`cloister run` (session 1a2b)",
		"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/n/ipConfigurations/a": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/n/ipConfigurations/a",
	} {
		if got := userID(owner); got != want {
			t.Errorf("%s: %s", owner, got)
		}
	}
}

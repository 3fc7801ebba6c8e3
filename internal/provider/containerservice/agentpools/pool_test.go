package agentpools

import (
	"reflect"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/provider/containerservice/shape"
)

func TestComplete(t *testing.T) {
	p := shape.Doc{"vmSize": "", "osDiskSizeGB": 0.0, "maxPods": nil, "orchestratorVersion": "", "count": 0.0, "spotMaxPrice": -1.0, "powerState": map[string]any{"code": "Running"}, "provisioningState": "x", "type": "VirtualMachineScaleSets"}
	Complete(p, nil, "1.37")
	for path, want := range map[string]any{
		"vmSize": "Standard_DS2_v2", "osDiskSizeGB": 128, "maxPods": 30, "orchestratorVersion": "1.37", "count": 0.0, "mode": "User", "osType": "Linux",
		"spotMaxPrice": -1.0, "powerState": nil, "provisioningState": nil, "upgradeSettings.maxSurge": "10%", "type": "VirtualMachineScaleSets", "enableFIPS": false,
	} {
		if got := p.At(path); got != want {
			t.Errorf("%s is %v (%T), want %v", path, got, got, want)
		}
	}
}

func TestCompleteKeepsWhatIsLeftOut(t *testing.T) {
	p := shape.Doc{"count": 2.0, "vmSize": ""}
	Complete(p, shape.Doc{"vmSize": "Standard_D4s_v5", "mode": "System", "count": 1.0, "nodeLabels": map[string]any{"a": "b"}, "currentOrchestratorVersion": "1.36.5"}, "1.37.1")
	if p.Str("vmSize") != "Standard_D4s_v5" || p.Str("mode") != "System" || p.Int("count") != 2 || p.Str("nodeLabels.a") != "b" {
		t.Errorf("%v", p)
	}
	Complete(p, nil, "1.37.1")
	if p.At("currentOrchestratorVersion") != nil {
		t.Error("a client's word on the current version counts")
	}
}

func TestTaints(t *testing.T) {
	for text, good := range map[string]bool{
		"CriticalAddonsOnly=true:NoSchedule": true, "a:NoExecute": true, "example.com/a=b:PreferNoSchedule": true,
		"a=b": false, "a=b:Sometimes": false, "": false, "=b:NoSchedule": false, "a b=c:NoSchedule": false,
	} {
		if msg := checkTaint(text); (msg == "") != good {
			t.Errorf("%q: %s", text, msg)
		}
	}
	if checkTaint(7.0) == "" {
		t.Error("a number is a taint")
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		a, b any
		same bool
	}{{nil, "", true}, {"A", "a", true}, {30.0, 30, true}, {"a", "b", false}, {nil, "x", false}} {
		if same(c.a, c.b) != c.same {
			t.Errorf("%v and %v", c.a, c.b)
		}
	}
}

func TestMAC(t *testing.T) {
	a, b := mac("/x/0/nic"), mac("/x/1/nic")
	if a == b || a != mac("/x/0/nic") || !strings.HasPrefix(a, "02:") || len(a) != 17 {
		t.Errorf("%s, %s", a, b)
	}
}

func TestEqual(t *testing.T) {
	a := wantedNode(fixture(t), pool(t, 1), network{}, 0)
	b := a
	b.Taints = []string{}
	if !equal(a, b) {
		t.Error("no taints and an empty list differ")
	}
	b.Stopped = true
	if equal(a, b) {
		t.Error("a stopped node equals a running one")
	}
	if !reflect.DeepEqual(a.Labels, wantedNode(fixture(t), pool(t, 1), network{}, 0).Labels) {
		t.Error("labels are made up anew")
	}
}

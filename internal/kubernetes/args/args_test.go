package args

import "testing"

func TestKubeletMaySet(t *testing.T) {
	for label, want := range map[string]bool{
		"agentpool":                                true,
		"kubernetes.azure.com/mode":                true,
		"topology.kubernetes.io/zone":              true,
		"node.kubernetes.io/instance-type":         true,
		"kubernetes.io/hostname":                   true,
		"kubernetes.io/role":                       false,
		"node-role.kubernetes.io/agent":            false,
		"node-restriction.kubernetes.io/fips":      false,
		"example.k8s.io/x":                         false,
		"failure-domain.beta.kubernetes.io/region": false,
	} {
		if got := KubeletMaySet(label); got != want {
			t.Errorf("%s: %t, want %t", label, got, want)
		}
	}
}

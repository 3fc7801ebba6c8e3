package kubernetes

import (
	"slices"
	"testing"

	"cloister.dev/cloister/internal/kubernetes/args"
)

func TestRetaint(t *testing.T) {
	for _, c := range []struct {
		name                    string
		have, own, wanted, want []string
	}{
		{"nothing", nil, nil, nil, nil},
		{"as registered", []string{"a=b:NoSchedule"}, []string{"a=b:NoSchedule"}, []string{"a=b:NoSchedule"}, []string{"a=b:NoSchedule"}},
		{"new beside another's", []string{"node.kubernetes.io/unschedulable:NoSchedule"}, nil, []string{"a=b:NoSchedule"}, []string{"node.kubernetes.io/unschedulable:NoSchedule", "a=b:NoSchedule"}},
		{"lost", []string{"x:NoExecute", "a=b:NoSchedule"}, []string{"a=b:NoSchedule"}, nil, []string{"x:NoExecute"}},
		{"another value", []string{"a=b:NoSchedule"}, []string{"a=b:NoSchedule"}, []string{"a=c:NoSchedule"}, []string{"a=c:NoSchedule"}},
		{"another effect", []string{"a=b:NoSchedule"}, []string{"a=b:NoSchedule"}, []string{"a=b:NoExecute"}, []string{"a=b:NoExecute"}},
		{"lost, and taken away by somebody before", nil, []string{"a=b:NoSchedule"}, nil, nil},
	} {
		got := retaint(args.Taints(c.have), args.Taints(c.own), args.Taints(c.wanted))
		if !slices.EqualFunc(got, args.Taints(c.want), sameTaint) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

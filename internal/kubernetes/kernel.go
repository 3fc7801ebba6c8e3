package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
)

// procSys holds the kernel's settings.
const procSys = "/proc/sys"

// kernelDefaults are the settings that a kubelet insists on
// (k8s.io/kubernetes/pkg/kubelet/cm, setupKernelTunables). They are the whole
// machine's, and a node may not change them: the host's preparation does.
var kernelDefaults = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// tuned says whether a kubelet will find the settings that it insists on.
func tuned(root string) bool {
	for name, want := range kernelDefaults {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || strings.TrimSpace(string(got)) != want {
			return false
		}
	}
	return true
}

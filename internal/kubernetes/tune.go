package kubernetes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// procSys holds the kernel's settings.
const procSys = "/proc/sys"

// kernelDefaults are the settings that a kubelet insists on
// (k8s.io/kubernetes/pkg/kubelet/cm, setupKernelTunables). They are the whole
// machine's, and a node may not change them.
var kernelDefaults = map[string]string{
	"vm/overcommit_memory": "1",
	"vm/panic_on_oom":      "0",
	"kernel/panic":         "10",
	"kernel/panic_on_oops": "1",
	// In a container without a user namespace of its own, keys count for the machine's root.
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// kernelMinimums are limits that many nodes on one machine reach: an API server
// takes three inotify instances, and the default is 128 for all of them.
var kernelMinimums = map[string]int64{
	"fs/inotify/max_user_instances":     8192,
	"fs/inotify/max_user_watches":       1 << 20,
	"net/netfilter/nf_conntrack_max":    1 << 18,
	"net/ipv4/neigh/default/gc_thresh3": 4096,
}

// TuneHost gives the machine's kernel the settings that nodes need, and says
// what it changed, a line for each: "vm.overcommit_memory: 0 -> 1". What this
// kernel does not have is left out.
func TuneHost() (changed []string, err error) { return tune(procSys) }

func tune(root string) (changed []string, err error) {
	var errs []error
	set := func(name, old, value string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(value), 0o644); err != nil {
			errs = append(errs, fmt.Errorf("the kernel's setting %s must be %s, and is %s: %w", dotted(name), value, old, err))
			return
		}
		changed = append(changed, fmt.Sprintf("%s: %s -> %s", dotted(name), old, value))
	}
	for name, want := range kernelDefaults {
		switch old, err := setting(root, name); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			errs = append(errs, err)
		case old != want:
			set(name, old, want)
		}
	}
	for name, least := range kernelMinimums {
		old, err := setting(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		n, parseErr := strconv.ParseInt(old, 10, 64)
		if err := errors.Join(err, parseErr); err != nil {
			errs = append(errs, err)
		} else if n < least {
			set(name, old, strconv.FormatInt(least, 10))
		}
	}
	return changed, errors.Join(errs...)
}

// tuned says whether a kubelet will find the settings that it insists on.
func tuned(root string) bool {
	for name, want := range kernelDefaults {
		if got, err := setting(root, name); err != nil || got != want {
			return false
		}
	}
	return true
}

func setting(root, name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, name))
	return strings.TrimSpace(string(b)), err
}

func dotted(name string) string { return strings.ReplaceAll(name, "/", ".") }

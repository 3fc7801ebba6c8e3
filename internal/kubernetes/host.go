package kubernetes

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"cloister.dev/cloister/internal/kubernetes/args"
)

// capSysResource is the number of CAP_SYS_RESOURCE: include/uapi/linux/capability.h.
const capSysResource = 24

// kernelDefaults are the kernel's settings that a kubelet insists on when it may
// not change them (--protect-kernel-defaults).
var kernelDefaults = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// DetectHost finds out what the machine below the nodes is like.
func DetectHost() (args.Host, error) {
	memory, err := procField("/proc/meminfo", "MemTotal:")
	if err != nil {
		return args.Host{}, err
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(memory, " kB"), 10, 64)
	if err != nil {
		return args.Host{}, fmt.Errorf("/proc/meminfo: MemTotal: %w", err)
	}
	bounding, err := procField("/proc/self/status", "CapBnd:")
	if err != nil {
		return args.Host{}, err
	}
	capabilities, err := strconv.ParseUint(bounding, 16, 64)
	if err != nil {
		return args.Host{}, fmt.Errorf("/proc/self/status: CapBnd: %w", err)
	}
	h := args.Host{
		MilliCPU: int64(runtime.NumCPU()) * 1000, MemoryBytes: kib << 10,
		RestrictOOMScore: capabilities&(1<<capSysResource) == 0, KernelDefaults: true,
	}
	for name, want := range kernelDefaults {
		got, err := os.ReadFile("/proc/sys/" + name)
		if err != nil || strings.TrimSpace(string(got)) != want {
			h.KernelDefaults = false
		}
	}
	return h, nil
}

// procField reads the text after a name in a file of lines "name value".
func procField(file, name string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			return strings.TrimSpace(rest), nil
		}
	}
	return "", fmt.Errorf("%s: no %s", file, strings.TrimSuffix(name, ":"))
}

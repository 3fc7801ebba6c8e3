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
	return args.Host{
		MilliCPU: int64(runtime.NumCPU()) * 1000, MemoryBytes: kib << 10,
		RestrictOOMScore: capabilities&(1<<capSysResource) == 0,
	}, nil
}

// procField reads the text after a name in a file of lines "name value".
func procField(file, name string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			return strings.TrimSpace(rest), nil
		}
	}
	return "", fmt.Errorf("%s: no %s", file, strings.TrimSuffix(name, ":"))
}

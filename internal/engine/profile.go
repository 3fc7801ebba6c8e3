package engine

import (
	"context"
	"slices"

	"github.com/containerd/cgroups/v3"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/spec"
)

// profileVersion goes up when a profile changes: containers are then made anew.
const profileVersion = 7

// nodeCapabilities are what kubelet, containerd, runc and kube-proxy need, and
// what pods may be given. Missing are those that reach the machine itself:
// SYS_MODULE, SYS_RAWIO, SYS_BOOT, SYS_TIME, MAC_*, SYSLOG, WAKE_ALARM, BPF, PERFMON and
// SYS_TTY_CONFIG; SYS_NICE, with which real-time processes take processors from everybody, whatever
// their cgroup's share; and DAC_READ_SEARCH, with which open_by_handle_at opens any file of the
// machine's disk, for a node's volumes lie on it.
var nodeCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
	"CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_SETFCAP",
	"CAP_SYS_RESOURCE", // for the scores by which the kernel chooses whom to kill; the kubelet's are configured by whether it is there
}

// profile is the container's specification, by kind.
func profile(img containerd.Image, want spec.Workload, netns, cgroup string, mounts []specs.Mount) []oci.SpecOpts {
	opts := []oci.SpecOpts{oci.WithDefaultSpec(), oci.WithDefaultUnixDevices, withoutConsole, oci.WithImageConfig(img)}
	if len(want.Args) > 0 {
		opts = append(opts, oci.WithProcessArgs(want.Args...))
	}
	if len(want.Args) > 0 && (want.Kind == spec.KindSystem || want.Kind == spec.KindControlPlane || want.Kind == spec.KindResolver) {
		// Their images hold one program, at the root.
		opts = append(opts, oci.WithEnv([]string{"PATH=/"}))
	}
	opts = append(opts, oci.WithEnv(want.Env), oci.WithCgroup(cgroup), oci.WithMounts(mounts))
	if want.Hostname != "" {
		opts = append(opts, oci.WithHostname(want.Hostname))
	}
	if netns == "" {
		opts = append(opts, oci.WithHostNamespace(specs.NetworkNamespace))
	} else {
		opts = append(opts, oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: netns}))
	}
	if want.Limits.MemoryBytes > 0 {
		opts = append(opts, oci.WithMemoryLimit(uint64(want.Limits.MemoryBytes)))
	}
	if want.Limits.MilliCPU > 0 {
		opts = append(opts, oci.WithCPUCFS(want.Limits.MilliCPU*cpuPeriod/1000, cpuPeriod))
	}
	if want.Kind != spec.KindNode && want.Kind != spec.KindMachine {
		opts = append(opts, oci.WithCPUShares(platformShares))
	}
	switch want.Kind {
	case spec.KindNode, spec.KindMachine:
		opts = append(opts, node()...)
	case spec.KindResolver:
		opts = append(opts, oci.WithCapabilities([]string{"CAP_SYS_ADMIN", "CAP_NET_BIND_SERVICE"}), oci.WithNoNewPrivileges, oci.WithRootFSReadonly(), oci.WithProcessCwd("/tmp"), withTmp)
	default:
		// The working folder can be written: etcd's shutdown hangs in one that cannot, and its socket for peers may lie there.
		opts = append(opts, oci.WithCapabilities([]string{"CAP_NET_BIND_SERVICE"}), oci.WithNoNewPrivileges, oci.WithRootFSReadonly(), oci.WithProcessCwd("/tmp"), withTmp)
	}
	return append(opts, withSeccomp(want.Kind), withFileLimit)
}

// platformShares is the weight of control planes and of Cloister's own parts where processors are short; a
// machine has 1024. All nodes wait for their API server: it must not wait for them.
const platformShares = 8192

// node is the profile of a container in which kubelet and containerd run. It is
// not a privileged one: devices stay the default few, the machine's settings are read-only.
func node() []oci.SpecOpts {
	return []oci.SpecOpts{
		withNodeCapabilities,
		oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.CgroupNamespace}),
		oci.WithNewPrivileges, // setuid programs of pods
		oci.WithMaskedPaths([]string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/kernel/debug", "/sys/kernel/tracing"}),
		// All of /proc/sys but net, which belongs to the node's own network namespace.
		oci.WithReadonlyPaths([]string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/mtrr", "/proc/sysrq-trigger", "/proc/sys/abi", "/proc/sys/debug", "/proc/sys/dev", "/proc/sys/fs", "/proc/sys/kernel", "/proc/sys/user", "/proc/sys/vm"}),
		func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
			s.Linux.RootfsPropagation = "rshared"
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/sys/fs/cgroup" || m.Destination == "/run" })
			s.Mounts = append(s.Mounts,
				specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "rw"}},
				specs.Mount{Destination: "/run", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=755", "size=256m"}},
				specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777", "size=512m"}},
				// The kubelet looks for kills by the kernel there; the machine's log is not a tenant's to read.
				specs.Mount{Destination: "/dev/kmsg", Type: "bind", Source: "/dev/null", Options: []string{"bind", "ro"}})
			slices.SortStableFunc(s.Mounts, func(a, b specs.Mount) int { return depth(a.Destination) - depth(b.Destination) })
			return nil
		},
	}
}

// withoutConsole takes away the machine's console, c 5:1, which is among containerd's defaults: who has SYS_ADMIN types on
// it for whoever is signed in there.
func withoutConsole(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
	s.Linux.Resources.Devices = slices.DeleteFunc(s.Linux.Resources.Devices, func(d specs.LinuxDeviceCgroup) bool {
		return d.Type == "c" && d.Major != nil && *d.Major == 5 && d.Minor != nil && *d.Minor == 1
	})
	return nil
}

// withNodeCapabilities gives those that this machine has itself: of others none can be given.
func withNodeCapabilities(ctx context.Context, client oci.Client, c *containers.Container, s *specs.Spec) error {
	own, err := cap.Current()
	if err != nil {
		return err
	}
	given := slices.DeleteFunc(slices.Clone(nodeCapabilities), func(name string) bool { return !slices.Contains(own, name) })
	return oci.WithCapabilities(given)(ctx, client, c, s)
}

func depth(path string) int {
	n := 0
	for _, r := range path {
		if r == '/' {
			n++
		}
	}
	return n
}

func withTmp(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
	// First, so that folders of the machine below /tmp can be mounted in it.
	s.Mounts = append([]specs.Mount{{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "noexec", "mode=1777", "size=64m"}}}, s.Mounts...)
	return nil
}

// machineCalls concern the machine as a whole: its log, its disks' quotas, its events.
var machineCalls = []string{"bpf", "syslog", "quotactl", "quotactl_fd", "lookup_dcookie", "perf_event_open", "fanotify_init"}

// keyCommands are those of keyctl that runc uses to give each container a keyring for its session: join, set permissions, describe.
// With more, a node would read the keys of user 0, who is the machine's root too:
// https://man7.org/linux/man-pages/man2/keyctl.2.html
var keyCommands = []uint64{unix.KEYCTL_JOIN_SESSION_KEYRING, unix.KEYCTL_SETPERM, unix.KEYCTL_DESCRIBE}

// bpfCommands are those of bpf that runc's rules for devices take with cgroup v2: to make, load, attach and look at programs of a
// group. Not among them are those that attach programs to the machine's kernel, or run them.
var bpfCommands = []uint64{
	unix.BPF_MAP_CREATE, unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_PROG_LOAD, unix.BPF_PROG_ATTACH, unix.BPF_PROG_DETACH,
	unix.BPF_PROG_GET_NEXT_ID, unix.BPF_PROG_GET_FD_BY_ID, unix.BPF_OBJ_GET_INFO_BY_FD, unix.BPF_PROG_QUERY,
}

// commands allows a call with some values of its first argument.
func commands(call string, values []uint64) []specs.LinuxSyscall {
	var out []specs.LinuxSyscall
	for _, v := range values {
		out = append(out, specs.LinuxSyscall{Names: []string{call}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: v, Op: specs.OpEqualTo}}})
	}
	return out
}

// withSeccomp is containerd's default profile for the capabilities. A node also
// needs what runc calls to start a pod's process, and gets none of the calls that
// SYS_ADMIN opens to the whole machine.
func withSeccomp(kind spec.Kind) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		s.Linux.Seccomp = seccomp.DefaultProfile(s)
		if kind == spec.KindNode || kind == spec.KindMachine {
			for i, c := range s.Linux.Seccomp.Syscalls {
				s.Linux.Seccomp.Syscalls[i].Names = slices.DeleteFunc(slices.Clone(c.Names), func(name string) bool { return slices.Contains(machineCalls, name) })
			}
			s.Linux.Seccomp.Syscalls = slices.DeleteFunc(s.Linux.Seccomp.Syscalls, func(c specs.LinuxSyscall) bool { return len(c.Names) == 0 })
			s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, specs.LinuxSyscall{
				Names: []string{"pivot_root"}, Action: specs.ActAllow,
			})
			if cgroups.Mode() == cgroups.Unified {
				s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, commands("bpf", bpfCommands)...)
			}
			s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, commands("keyctl", keyCommands)...)
		}
		return nil
	}
}

// withFileLimit raises the number of open files to what servers expect, within what the machine gives.
func withFileLimit(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
	limit, err := openFiles()
	if err != nil {
		return err
	}
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: limit, Soft: limit}}
	return nil
}

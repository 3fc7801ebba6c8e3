package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/test/contain"
)

// settings are the whole machine's. The first ones have the kernel start a program of one's choice, as the machine's root.
var settings = []string{
	"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug", "/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper",
	"/proc/sysrq-trigger", "/proc/sys/kernel/sysrq", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops", "/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max",
	"/proc/sys/kernel/dmesg_restrict", "/proc/sys/kernel/kptr_restrict", "/proc/sys/kernel/randomize_va_space", "/proc/sys/kernel/perf_event_paranoid",
	"/proc/sys/vm/swappiness", "/proc/sys/vm/drop_caches", "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom", "/proc/sys/vm/mmap_min_addr",
	"/proc/sys/fs/file-max", "/proc/sys/fs/protected_hardlinks", "/proc/sys/fs/suid_dumpable", "/proc/sys/user/max_user_namespaces", "/proc/sys/debug/exception-trace",
	"/proc/irq/default_smp_affinity", "/proc/mtrr",
	"/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/profiling", "/sys/kernel/mm/ksm/run", "/sys/power/state", "/sys/module/kernel/parameters/panic",
	"/sys/devices/system/cpu/cpu1/online", "/sys/bus/workqueue/devices/writeback/cpumask", "/sys/kernel/debug/sched/features", "/sys/kernel/tracing/tracing_on",
}

func settingAttempts() map[string]attempt {
	out := map[string]attempt{}
	for _, path := range settings {
		out["setting: "+path] = func(contain.Targets) error { return writable(path) }
	}
	return out
}

// writable opens a setting for writing, and writes nothing.
func writable(path string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var st unix.Statfs_t
	err = unix.Fstatfs(fd, &st)
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return err
	}
	switch st.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.BINFMTFS_MAGIC:
		return nil
	}
	return fmt.Errorf("a copy of the guest's own: %w", errOther)
}

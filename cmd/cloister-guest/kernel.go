package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// kubeletSettings are what a kubelet insists on (k8s.io/kubernetes/pkg/kubelet/cm,
// setupKernelTunables): it does not start when it finds other values and cannot
// write them. They are the whole machine's, and what a machine does when its kernel
// fails, or when memory is promised twice, is for its owner to say and not for a guest.
// Nothing in a node depends on them, so that the kubelet reads them from files of the node.
var kubeletSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// settle lays a file over each setting below procSys, whatever the machine has now: it may
// change while the node runs. dir gets the files.
func settle(procSys, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, want := range kubeletSettings {
		target := filepath.Join(procSys, name)
		if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without it
		}
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(file, []byte(want+"\n"), 0o444); err != nil {
			return err
		}
		if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("lay a file over %s: %w", target, err)
		}
	}
	return nil
}

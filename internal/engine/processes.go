package engine

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// shims are the processes that serve this run directory's containers.
func shims(runDir string) ([]int, error) {
	return processes("containerd-shim-runc-v2", Socket(runDir))
}

// containerds are the processes that are this run directory's containerd. There is one, unless somebody died while starting it.
func containerds(runDir string) ([]int, error) {
	return processes("containerd", configFile(runDir))
}

// processes lists those of a program that have an argument. Arguments, unlike numbers in files, are never somebody else's.
func processes(program, argument string) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var out []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(string(text), "\x00")
		if filepath.Base(args[0]) != program || !slices.Contains(args, argument) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			out = append(out, pid)
		}
	}
	return out, nil
}

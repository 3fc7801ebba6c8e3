package images

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	goMinor    = 26       // of Go 1.x: what the modules need
	freeNeeded = 12 << 30 // bytes: Go's own caches, three root file systems, archives
	keyring    = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// Missing says in plain words what this machine lacks for building artefacts,
// and how to get it: one sentence each, none if nothing is missing.
func Missing(ctx context.Context, cacheDir string) []string {
	var out []string
	for _, t := range []struct{ program, pkg string }{{"gcc", "gcc"}, {"pkg-config", "pkg-config"}, {"mmdebstrap", "mmdebstrap"}} {
		if _, err := exec.LookPath(t.program); err != nil {
			out = append(out, fmt.Sprintf("%s is missing: apt-get install %s", t.program, t.pkg))
		}
	}
	if _, err := exec.LookPath("pkg-config"); err == nil && exec.CommandContext(ctx, "pkg-config", "--exists", "libseccomp").Run() != nil {
		out = append(out, "libseccomp's headers are missing: apt-get install libseccomp-dev")
	}
	if _, err := os.Stat(keyring); err != nil {
		out = append(out, "Debian's keys are missing: apt-get install debian-archive-keyring")
	}
	if text := missingGo(ctx); text != "" {
		out = append(out, text)
	}
	if free, at, err := freeSpace(cacheDir); err != nil {
		out = append(out, fmt.Sprintf("the free space at %s cannot be found out: %v", cacheDir, err))
	} else if free < freeNeeded {
		out = append(out, fmt.Sprintf("%s has %d GiB free, and building needs %d GiB: make room, or set cacheDir to another disk", at, free>>30, freeNeeded>>30))
	}
	return out
}

func missingGo(ctx context.Context) string {
	const how = "install Go 1.26 or newer from https://go.dev/dl"
	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	if err != nil {
		return "Go is missing: " + how
	}
	version := strings.TrimSpace(string(out))
	if !newEnough(version) {
		return version + " is too old: " + how
	}
	return ""
}

// newEnough reads the answer of `go env GOVERSION`: go1.26.8, go1.27rc1, devel go1.28-….
func newEnough(version string) bool {
	_, rest, ok := strings.Cut(version, "go1.")
	if !ok {
		return false
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	minor, err := strconv.Atoi(rest[:end])
	return err == nil && minor >= goMinor
}

// freeSpace is of the file system on which dir is, or will be.
func freeSpace(dir string) (bytes uint64, at string, err error) {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if err == nil {
			return st.Bavail * uint64(st.Bsize), dir, nil
		}
		if err != unix.ENOENT || dir == filepath.Dir(dir) {
			return 0, dir, err
		}
		dir = filepath.Dir(dir)
	}
}

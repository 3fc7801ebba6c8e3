package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// suite is the Debian release of nodes and of the workstation.
const suite = "trixie"

// nodePackages are what kubelet, containerd and kube-proxy call, and what a person looks for on a node.
var nodePackages = []string{
	"ca-certificates", "conntrack", "ethtool", "iproute2", "iptables", "kmod", "mount", "nftables", "procps", "socat", "util-linux", "bind9-dnsutils", "curl",
}

// workstationPackages are the clients.
var workstationPackages = []string{
	"azure-cli", "bash-completion", "bind9-dnsutils", "ca-certificates", "curl", "iproute2", "iputils-ping", "jq", "less", "openssh-client", "openssl", "procps",
}

// peerPackages are what benchmarks compare with, so that the host need not have them.
var peerPackages = []string{"haproxy", "unbound"}

// bootstrap makes a Debian root file system from packages: a folder, or a tar
// file if out ends with .tar. Documentation is left out.
func bootstrap(ctx context.Context, out string, packages []string) error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return errors.New("mmdebstrap is missing: apt-get install mmdebstrap")
	}
	mirror, err := mirror(ctx)
	if err != nil {
		return err
	}
	return run(ctx, "/", []string{"TMPDIR=" + filepath.Dir(out)}, "mmdebstrap", "--quiet", "--variant=minbase",
		"--include="+strings.Join(packages, ","), "--dpkgopt=force-unsafe-io",
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/info/*",
		"--customize-hook=rm -rf \"$1\"/var/cache/apt/archives/*.deb \"$1\"/etc/resolv.conf \"$1\"/etc/hostname; touch \"$1\"/etc/resolv.conf \"$1\"/etc/hosts",
		suite, out, mirror)
}

// mirror is the Debian mirror that this machine is configured to use.
func mirror(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for the Debian mirror: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if site := strings.TrimSpace(line); strings.HasSuffix(strings.TrimSuffix(site, "/"), "/debian") {
			return site, nil
		}
	}
	return "", errors.New("apt has no Debian mirror: run apt-get update, or add one to /etc/apt/sources.list")
}

// tree is a root file system as a folder, with empty files where programs of
// this machine are mounted when it is used: so it need not be made anew with them.
func tree(packages []string, mountPoints ...string) recipe {
	return recipe{kind: Tree, facts: slices.Concat([]string{suite}, packages, mountPoints), hint: " (some minutes)", build: func(ctx context.Context, j *job) error {
		if err := bootstrap(ctx, j.out, packages); err != nil {
			return err
		}
		for _, target := range mountPoints {
			if err := os.WriteFile(filepath.Join(j.out, target), nil, 0o755); err != nil {
				return err
			}
		}
		return nil
	}}
}

// rename moves a file into a new folder.
func rename(file, folder, name string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.Rename(file, filepath.Join(folder, name))
}

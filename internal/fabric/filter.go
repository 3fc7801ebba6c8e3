package fabric

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/netplan"
)

// applyFilter loads the namespace's table in one transaction, unless it is the one that is there.
func (f *Fabric) applyFilter(ctx context.Context, plan netplan.Namespace) error {
	if plan.Filter == "" {
		return nil
	}
	if plan.Name == netplan.HostNS {
		if err := f.forwardOnHost(); err != nil {
			return err
		}
	}
	if f.filters[plan.Name] == plan.Filter && f.nft(ctx, plan.Name, "list chain ip "+netplan.Table+" forward\n") == nil {
		return nil
	}
	// Declared, deleted and declared again: the first makes the deletion possible at any time.
	text := "table ip " + netplan.Table + "\ndelete table ip " + netplan.Table + "\n" + plan.Filter
	if err := f.nft(ctx, plan.Name, text); err != nil {
		return err
	}
	f.filters[plan.Name] = plan.Filter
	return nil
}

// nft runs commands in nft's language inside a namespace, as one transaction.
func (f *Fabric) nft(ctx context.Context, name, text string) error {
	return inNamespace(f.Path(name), func() error {
		cmd := exec.CommandContext(ctx, "nft", "-f", "-")
		cmd.Stdin = strings.NewReader(text)
		var out bytes.Buffer
		cmd.Stderr = &out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(out.String()))
		}
		return nil
	})
}

func (f *Fabric) forwardFile() string {
	return filepath.Join(filepath.Dir(f.pins.dir), "ip_forward.before")
}

// forwardOnHost has the host forward packets, and remembers what it did before.
func (f *Fabric) forwardOnHost() error {
	return inNamespace(f.host, func() error {
		old, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(old)) == "1" {
			return nil
		}
		if err := os.WriteFile(f.forwardFile(), old, 0o600); err != nil {
			return err
		}
		return setSysctl("ipv4/ip_forward", "1")
	})
}

// hostDown takes everything of ours out of the host's namespace.
func (f *Fabric) hostDown(ctx context.Context) error {
	err := f.nft(ctx, netplan.HostNS, "table ip "+netplan.Table+"\ndelete table ip "+netplan.Table+"\n")
	h, ns, handleErr := f.handle(netplan.HostNS)
	if handleErr != nil {
		return errors.Join(err, handleErr)
	}
	defer h.Close()
	defer func() { _ = ns.Close() }()
	err = errors.Join(err, applyRoutes(h, netplan.Namespace{}))
	link, linkErr := h.LinkByName(netplan.HostLink)
	var missing netlink.LinkNotFoundError
	switch {
	case linkErr == nil:
		if delErr := h.LinkDel(link); delErr != nil && !errors.Is(delErr, unix.ENODEV) {
			err = errors.Join(err, delErr)
		}
	case !errors.As(linkErr, &missing):
		err = errors.Join(err, linkErr)
	}
	before, readErr := os.ReadFile(f.forwardFile())
	if errors.Is(readErr, os.ErrNotExist) {
		return err
	}
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if setErr := inNamespace(f.host, func() error { return setSysctl("ipv4/ip_forward", strings.TrimSpace(string(before))) }); setErr != nil {
		return errors.Join(err, setErr)
	}
	return errors.Join(err, os.Remove(f.forwardFile()))
}

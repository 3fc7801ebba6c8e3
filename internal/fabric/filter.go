package fabric

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
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
	known := f.filters[plan.Name]
	if known.text == plan.Filter {
		if now, err := f.list(ctx, plan.Name); err == nil && now == known.listed {
			return nil
		}
	}
	// Declared, deleted and declared again: the first makes the deletion possible at any time.
	text := "table ip " + netplan.Table + "\ndelete table ip " + netplan.Table + "\n" + plan.Filter
	if err := f.nft(ctx, plan.Name, text); err != nil {
		return err
	}
	listed, err := f.list(ctx, plan.Name)
	if err != nil {
		return err
	}
	f.filters[plan.Name] = filter{plan.Filter, listed}
	return nil
}

// filter is a table as it was loaded, and as the kernel then listed it: with that one sees
// whether somebody has changed it since.
type filter struct{ text, listed string }

// list is the namespace's table without what counts and moves by itself.
func (f *Fabric) list(ctx context.Context, name string) (string, error) {
	var out bytes.Buffer
	err := f.run(ctx, name, nil, &out, "--stateless", "list", "table", "ip", netplan.Table)
	return out.String(), err
}

// nft runs commands in nft's language inside a namespace, as one transaction.
func (f *Fabric) nft(ctx context.Context, name, text string) error {
	return f.run(ctx, name, strings.NewReader(text), nil, "-f", "-")
}

func (f *Fabric) run(ctx context.Context, name string, in io.Reader, out io.Writer, args ...string) error {
	return inNamespace(f.Path(name), func() error {
		cmd := exec.CommandContext(ctx, "nft", args...)
		var text bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &text
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(text.String()))
		}
		return nil
	})
}

// hostDown takes everything of ours out of the host's namespace.
func (f *Fabric) hostDown(ctx context.Context) error {
	// The links stop forwarding before the rules go that keep others from it.
	before, err := f.remembered()
	if err == nil {
		err = inNamespace(f.host, func() error { return f.putBack(before, nil) })
	}
	err = errors.Join(err, f.nft(ctx, netplan.HostNS, "table ip "+netplan.Table+"\ndelete table ip "+netplan.Table+"\n"))
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
	return err
}

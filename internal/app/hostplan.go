package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/fabric"
	"cloister.dev/cloister/internal/images"
	"cloister.dev/cloister/internal/local"
	"cloister.dev/cloister/internal/netplan"
)

// hostPlan is all that `up` changes of the host, found out before anything is. Up carries out
// what stands here, the daemon applies the same network plan, and `up --dry-run` prints it.
type hostPlan struct {
	settings []setting
	folders  []folder // that are not there
	unbuilt  []images.Artifact
	network  []fabric.Change
	daemon   []string // its command; nil: it runs
	restart  string   // why the one that runs is started again; "": it is not
	access   access
	notes    []string // what the owner should know
}

// planHost looks at the host and changes nothing.
func planHost(ctx context.Context, c config.Config) (*hostPlan, error) {
	p := &hostPlan{access: accessOf(c)}
	var err error
	if p.settings, err = lowLimits(); err != nil {
		return nil, err
	}
	for _, f := range folders(c) {
		if _, err := os.Stat(f.path); errors.Is(err, os.ErrNotExist) {
			p.folders = append(p.folders, f)
		} else if err != nil {
			return nil, err
		}
	}
	if p.unbuilt, err = images.Unbuilt(ctx, images.Options{SourceDir: c.SourceDir, CacheDir: c.CacheDir}, wanted()...); err != nil {
		return nil, err
	}
	if _, err := local.NewClient(c.RunDir).Status(ctx); errors.Is(err, local.ErrDown) {
		if p.daemon, err = daemonCommand(c); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	} else if p.restart, err = outdated(c); err != nil {
		return nil, err
	}
	f, err := fabric.Look(fabric.Options{RunDir: c.RunDir})
	if err != nil {
		return nil, err
	}
	mtu, err := f.UplinkMTU()
	if err != nil {
		return nil, err
	}
	uplinks, err := f.Uplinks(c.LANPrefixes)
	if err != nil {
		return nil, err
	}
	for _, ns := range netplan.ForHost(hostOf(c, mtu, uplinks)) {
		if ns.Name == netplan.HostNS {
			if p.network, err = f.Describe(ctx, ns); err != nil {
				return nil, err
			}
		}
	}
	obstacles, err := f.Obstacles(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range obstacles {
		p.notes = append(p.notes, o.String())
	}
	return p, nil
}

// DryRun checks the host and prints what Up would change. It changes nothing.
func DryRun(ctx context.Context, c config.Config, w io.Writer) error {
	if err := checkHost(ctx, c); err != nil {
		return err
	}
	p, err := planHost(ctx, c)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, p.text(c))
	return err
}

// text says everything in plain words.
func (p *hostPlan) text(c config.Config) string {
	var b strings.Builder
	section := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, l := range lines {
			fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(l, "\n", "\n  "))
		}
	}
	by := map[string][]string{}
	for _, s := range p.settings {
		by["setting"] = append(by["setting"], s.String())
	}
	for _, ch := range p.network {
		text := ch.Text
		if ch.Kind == "setting" {
			text += " (this link forwards packets of networks; rules keep it from forwarding others')"
			if strings.Contains(text, "."+netplan.HostLink+".") {
				text = ch.Text + " (Cloister's own link)"
			}
		}
		by[ch.Kind] = append(by[ch.Kind], text)
	}
	var made, built, runs []string
	for _, f := range p.folders {
		made = append(made, fmt.Sprintf("%s (mode %o)", f.path, f.mode))
	}
	for _, a := range p.unbuilt {
		built = append(built, fmt.Sprintf("%s -> %s", a.Name, a.Path))
	}
	if p.daemon != nil {
		runs = append(runs, "daemon: "+strings.Join(p.daemon, " "), "containerd: "+filepath.Join(c.DataDir, "bin", "containerd")+", a container runtime of Cloister's own")
		list := own(c)
		for _, name := range slices.Sorted(maps.Keys(list)) {
			runs = append(runs, "container "+name+": "+strings.Join(list[name].Args[:min(2, len(list[name].Args))], " "))
		}
	}
	if p.restart != "" {
		runs = append(runs, "the daemon is started again: "+p.restart+"; what runs goes on")
	}
	section("Kernel settings (`cloister down` puts them back):", by["setting"])
	section("Network interface:", by["link"])
	section("Addresses:", by["address"])
	section("Routes:", by["route"])
	section("Packet filter: a table of Cloister's own (nftables, family ip). It translates the addresses of networks to the host's,\nand keeps private addresses from leaving and anybody from coming in. No table, chain or policy of others is changed:", by["table"])
	section("Folders:", made)
	if p.daemon != nil {
		section("Mounts and control groups:", []string{
			"network namespaces in " + filepath.Join(c.RunDir, "netns") + ", and what containers mount below " + c.RunDir + " and " + c.DataDir,
			"the control group " + c.Cgroup + " in each hierarchy, for containers",
		})
	}
	section("Artefacts to build:", built)
	section("Processes:", runs)
	if p.daemon != nil {
		section("Who may use it:", []string{p.access.String()})
	}
	if b.Len() == 0 {
		b.WriteString("\nnothing: all of it is there already\n")
	}
	section("To note:", p.notes)
	return "Nothing was changed. `cloister up` would change this of the host:\n" + b.String()
}

// Package subnets is Microsoft.Network/virtualNetworks/subnets: parts of a virtual
// network's address space, in which machines and private endpoints have their addresses.
// https://learn.microsoft.com/rest/api/virtualnetwork/subnets
package subnets

import (
	"context"
	"regexp"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

// Names is what a subnet may be named, and NameRule says it in words.
var Names = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$`)

// NameRule is what Names matches.
const NameRule = "1 to 80 letters, digits, '_', '.' and '-', beginning with a letter or digit and ending with one or '_'"

// New is the type.
func New(d kit.Deps) *arm.Type {
	t := typ{d}
	return &arm.Type{
		Name: kit.SubnetType, APIVersions: kit.APIVersions, Names: Names, NameRule: NameRule,
		Admit: t.admit, Release: t.release, View: t.view,
	}
}

type typ struct{ kit.Deps }

// admit checks a subnet that is written by itself.
func (t typ) admit(ctx context.Context, w *arm.Write) error {
	links := kit.NewLinks(w.Read, w.Tx)
	network, err := links.Load(ctx, w.ID.Parent().String())
	if err != nil {
		return err
	}
	if network == nil {
		return arm.NotFound("ParentResourceNotFound", "The virtual network '%s' was not found. Create it first.", w.ID.Parent())
	}
	siblings, err := w.Read.Below(ctx, network.ID, kit.SubnetType)
	if err != nil {
		return err
	}
	change := Change{Target: "properties.", ID: w.New.ID, Old: w.Old, New: w.New}
	others := siblings[:0]
	for _, s := range siblings {
		if s.ParsedID().Key() != w.ID.Key() {
			others = append(others, s)
		}
	}
	if err := Check(ctx, w, links, network, []Change{change}, others); err != nil || len(w.Problems) > 0 {
		return err
	}
	// The network's revision changes with every subnet: two that overlap cannot be written at once.
	links.Changed(network)
	links.Save()
	return nil
}

// release refuses to delete a subnet that is used.
func (t typ) release(ctx context.Context, w *arm.Write) error {
	links := kit.NewLinks(w.Read, w.Tx)
	if err := Release(ctx, w, links, w.Old); err != nil {
		return err
	}
	if !w.Cascade {
		network, err := links.Load(ctx, w.ID.Parent().String())
		if err != nil {
			return err
		}
		if network != nil {
			links.Changed(network)
		}
	}
	links.Save()
	return nil
}

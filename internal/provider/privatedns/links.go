package privatedns

import (
	"context"
	"errors"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// indexPrefix is where it stands which link lets a network resolve a name's tree: a network
// can be linked to one zone of a name only, also when two requests come at once.
const indexPrefix = "/index/zonelink/"

type indexed struct {
	Link string `json:"link"`
}

func indexKey(network string, link resourceid.ID) string {
	return indexPrefix + strings.Trim(strings.ToLower(network), "/") + "|" + strings.ToLower(link.Parent().Name())
}

func networkOf(r *arm.Resource) string { return kit.Props(r).ID("virtualNetwork") }

func admitLink(ctx context.Context, w *arm.Write) error {
	props := kit.Props(w.New)
	rename(props, "virtualNetwork", "registrationEnabled", "resolutionPolicy", "virtualNetworkLinkState")
	delete(props, "virtualNetworkLinkState")
	if !kit.CheckKinds(w, props, "properties.", map[string]kit.Kind{
		"virtualNetwork": kit.Object, "virtualNetwork.id": kit.String, "registrationEnabled": kit.Boolean, "resolutionPolicy": kit.String,
	}) {
		return nil
	}
	if props["registrationEnabled"] == nil {
		props["registrationEnabled"] = false
	}
	if props.Bool("registrationEnabled") {
		kit.Unsupported(w, "properties.registrationEnabled", "Automatic registration of machines' names is", "Set registrationEnabled to false, and write the A records that you need.")
	}
	if policy := props.Str("resolutionPolicy"); policy != "" && !strings.EqualFold(policy, "Default") {
		kit.Unsupported(w, "properties.resolutionPolicy", "The resolution policy "+policy+" is", "Leave resolutionPolicy out, or set it to Default.")
	}
	network := networkOf(w.New)
	if network == "" {
		w.Fail("BadRequest", "properties.virtualNetwork.id", "The link names no virtual network. Set properties.virtualNetwork.id.")
		return nil
	}
	if w.Old != nil {
		if !kit.SameID(network, networkOf(w.Old)) {
			w.Fail("BadRequest", "properties.virtualNetwork.id", "The virtual network of a link cannot be changed: it is %s. Make another link.", networkOf(w.Old))
		}
		return nil // whoever made the link was asked for the right on the network
	}
	return newLink(ctx, w, network)
}

func newLink(ctx context.Context, w *arm.Write, network string) error {
	links := kit.NewLinks(w.Read, w.Tx)
	r, err := links.Use(ctx, w, kit.Ref{Target: "properties.virtualNetwork.id", ID: network, Type: kit.NetworkType, Action: "Microsoft.Network/virtualNetworks/join/action"})
	if err != nil || r == nil {
		return err
	}
	n, err := count(ctx, w.Read, w.ID.Parent().String())
	if err != nil {
		return err
	}
	if n.links >= maxLinks {
		w.Problems = append(w.Problems, arm.Conflict("VirtualNetworkLinkCountExceeded", "The zone has %d virtual network links, which is the most that it can have. Delete some first.", n.links))
	}
	var other indexed
	key := indexKey(network, w.ID)
	_, err = w.Read.Store.Get(ctx, key, &other)
	switch {
	case err == nil && w.Principal.System:
		links.Save() // a cluster has a link of its own, whether somebody linked the network before or not
		return nil
	case err == nil:
		w.Fail("BadRequest", "properties.virtualNetwork.id", "A virtual network cannot be linked to multiple zones with overlapping namespaces. Virtual network '%s' is linked to a zone named '%s' already, by '%s'. Delete that link first.",
			r.ID, w.ID.Parent().Name(), other.Link)
		return nil
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	w.Tx.Create(key, indexed{w.ID.String()})
	links.Save()
	return nil
}

// releaseLink frees the network for another zone of the name.
func releaseLink(ctx context.Context, w *arm.Write) error {
	var mine indexed
	key := indexKey(networkOf(w.Old), w.Old.ParsedID())
	rev, err := w.Read.Store.Get(ctx, key, &mine)
	if errors.Is(err, store.ErrNotFound) || err == nil && !kit.SameID(mine.Link, w.Old.ID) {
		return nil
	}
	if err != nil {
		return err
	}
	w.Tx.Expect(key, rev).Delete(key)
	return nil
}

func viewLink(_ context.Context, _ *arm.Resource, doc map[string]any) error {
	kit.Doc(doc).Sub("properties")["virtualNetworkLinkState"] = "Completed"
	return nil
}

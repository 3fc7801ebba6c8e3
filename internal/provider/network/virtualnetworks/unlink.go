package virtualnetworks

import (
	"context"
	"fmt"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

// remove deletes the links by which the network resolves private zones, as Azure does: a network of the same
// name must not find itself linked. No link is added meanwhile, because the network is marked.
// https://learn.microsoft.com/azure/dns/dns-faq-private
func (t typ) remove(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	links, err := t.Read().Below(ctx, "/", kit.ZoneLinkType)
	if err != nil {
		return arm.Progress{}, err
	}
	left := 0
	for _, l := range links {
		if !kit.SameID(kit.Props(l).ID("virtualNetwork"), r.ID) {
			continue
		}
		gone, err := t.Writer.Delete(ctx, arm.System, l.ID)
		if err != nil {
			return arm.Progress{}, fmt.Errorf("link %s: %w", l.ID, err)
		}
		if !gone {
			left++
		}
	}
	if left > 0 {
		return arm.Progress{Percent: 50, Note: fmt.Sprintf("the end of %d links to private zones", left), After: time.Second}, nil
	}
	return arm.Progress{Done: true, Percent: 100}, nil
}

package managedclusters

import (
	"context"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/resourceid"
)

var subzoneRule = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$`)

// checkZone checks a private zone that the customer brought.
// https://learn.microsoft.com/azure/aks/private-clusters#configure-a-private-dns-zone
func (a *admission) checkZone(ctx context.Context) error {
	const target = at + "apiServerAccessProfile.privateDNSZone"
	w, id := a.w, a.props.Str("apiServerAccessProfile.privateDNSZone")
	if id == shape.ZoneNone || id == shape.ZoneSystem || w.Old != nil {
		return nil
	}
	parsed, err := resourceid.Parse(id)
	if err != nil || !strings.EqualFold(parsed.Type(), shape.ZoneType) || parsed.IsCollection() {
		w.Fail("InvalidParameter", target, "The private DNS zone '%s' must be system, none, or the id of a private DNS zone.", id)
		return nil
	}
	wanted := "privatelink." + shape.Region(w.New.Location()) + ".azmk8s.io"
	name := strings.ToLower(parsed.Name())
	subzone, isSub := strings.CutSuffix(name, "."+wanted)
	switch {
	case name == wanted:
	case !isSub || !subzoneRule.MatchString(subzone):
		w.Fail("InvalidParameter", target, "The private DNS zone's name '%s' must be %s, or <subzone>.%s with a subzone of at most 32 letters, digits and '-'.", name, wanted, wanted)
		return nil
	}
	if sub := a.props.Str("fqdnSubdomain"); sub != "" {
		if isSub {
			w.Fail("InvalidParameter", at+"fqdnSubdomain", "fqdnSubdomain can only be used with the zone %s, not with a subzone of it. Set dnsPrefix instead.", wanted)
		}
		if !subdomainRule.MatchString(sub) {
			w.Fail("InvalidParameter", at+"fqdnSubdomain", "The subdomain '%s' must be 1 to 63 lower-case letters, digits and '-', beginning and ending with a letter or digit.", sub)
		}
	}
	if t := shape.Doc(w.New.Body).Str("identity.type"); strings.EqualFold(t, "SystemAssigned") {
		w.Fail("InvalidParameter", "identity.type", "A private DNS zone of your own needs a user-assigned identity (--assign-identity) or a service principal: the system-assigned one cannot have a role on the zone before the cluster exists.")
	}
	if _, err := w.Read.Get(ctx, id); arm.IsNotFound(err) {
		w.Fail("PrivateDNSZoneNotFound", target, "The private DNS zone '%s' does not exist. Create it first.", id)
		return nil
	} else if err != nil {
		return err
	}
	return a.checkZoneRole(ctx, id, target)
}

// checkZoneRole reports an identity of the cluster that may not write into the customer's zone.
func (a *admission) checkZoneRole(ctx context.Context, zone, target string) error {
	if a.Authorizer == nil {
		return nil
	}
	for id := range shape.Doc(a.w.New.Body).Doc("identity.userAssignedIdentities") {
		identity, err := a.w.Read.Get(ctx, id)
		if arm.IsNotFound(err) {
			return nil // setIdentity reports it
		}
		if err != nil {
			return err
		}
		p := arm.Principal{ObjectID: shape.Doc(identity.Properties()).Str("principalId"), Kind: "ManagedIdentity", TenantID: a.TenantID}
		for _, action := range []string{"Microsoft.Network/privateDnsZones/A/write", "Microsoft.Network/privateDnsZones/virtualNetworkLinks/write"} {
			if err := a.Authorizer.Authorize(ctx, p, action, zone); err != nil {
				a.w.Fail("CustomPrivateDNSZoneMissingPermissionError", target, "The cluster's identity '%s' has no permission for %s on the zone '%s'. Give it the role Private DNS Zone Contributor there.", id, action, zone)
				return nil
			}
		}
	}
	return nil
}

// rememberZone keeps the id of a private zone that the cluster gives up: its record and link are to go.
func (a *admission) rememberZone() error {
	if a.w.Old == nil || a.props.Str("apiServerAccessProfile.privateDNSZone") != shape.ZoneNone {
		return nil
	}
	old, err := shape.ClusterOf(a.w.Old)
	if err == nil && old.PrivateZone() != "" {
		a.w.New.Private[formerZone] = old.PrivateZone()
	}
	return err
}

package containerservice_test

import (
	"strings"
	"testing"
)

const (
	ownZone  = group + "/providers/Microsoft.Network/privateDnsZones/privatelink.eastus.azmk8s.io"
	identity = group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
)

// withZone is the request of the story with another private zone.
func withZone(zone string) string {
	return strings.Replace(create, `"enablePrivateCluster":true`, `"enablePrivateCluster":true,"privateDNSZone":"`+zone+`"`, 1)
}

func TestZoneNone(t *testing.T) {
	b := prepared(t)
	b.write(clusterID, withZone("none"))
	doc := b.document(clusterID)
	if at(doc, "properties.privateFQDN") != nil || at(doc, "properties.fqdn") == nil {
		t.Errorf("names without a private zone: %v, %v", at(doc, "properties.privateFQDN"), at(doc, "properties.fqdn"))
	}
	if k := b.keys("/res" + strings.ToLower(nodeGroup) + "/providers/microsoft.network/privatednszones/"); len(k) > 0 {
		t.Errorf("there is a private zone: %v", k)
	}
	if text := b.kubeconfig("listClusterUserCredential"); !strings.Contains(text, "server: https://"+at(doc, "properties.fqdn").(string)) {
		t.Errorf("kubeconfig %s", text)
	}
	b.delete(clusterID)
	checkNothing(b)
}

func TestZoneGivenUp(t *testing.T) {
	b := prepared(t)
	b.write(clusterID, create)
	b.write(clusterID, withZone("none"))
	b.until("the zone is gone", func() bool {
		return len(b.keys("/res"+strings.ToLower(nodeGroup)+"/providers/microsoft.network/privatednszones/")) == 0
	})
	if doc := b.document(clusterID); at(doc, "properties.privateFQDN") != nil {
		t.Error("there is a private name without a zone")
	}
	_, err := b.server.Write(b.ctx, user, clusterID, unmarshal[map[string]any](t, []byte(withZone("system"))), "")
	if code(err) != "PropertyChangeNotAllowed" {
		t.Errorf("going back to a zone: %v", err)
	}
	b.delete(clusterID)
	checkNothing(b)
}

func TestOwnZone(t *testing.T) {
	b := prepared(t)
	b.plain(ownZone, `{"location":"global"}`)
	b.plain(identity, `{"location":"eastus"}`)
	doc := strings.NewReplacer(`"dnsPrefix":"c-rg-222222"`, `"fqdnSubdomain":"sub1"`,
		`"identity":{"type":"SystemAssigned"}`, `"identity":{"type":"UserAssigned","userAssignedIdentities":{"`+identity+`":{}}}`).Replace(withZone(ownZone))
	b.write(clusterID, doc)
	shown := b.document(clusterID)
	if got := at(shown, "properties.privateFQDN"); got != "sub1.privatelink.eastus.azmk8s.io" {
		t.Errorf("private name %v", got)
	}
	if !b.exists(ownZone + "/A/sub1") {
		t.Error("no record in the customer's zone")
	}
	// The path of the identity has dots in it: look by hand.
	ids, _ := at(shown, "identity.userAssignedIdentities").(map[string]any)
	if filled, _ := ids[identity].(map[string]any); filled["principalId"] == nil || filled["clientId"] == nil {
		t.Errorf("identity %v", at(shown, "identity"))
	}
	b.delete(clusterID)
	if k := b.keys("/res" + strings.ToLower(ownZone)); len(k) != 1 {
		t.Errorf("the customer's zone holds %v", k)
	}
	b.delete(identity)
	checkNothing(b)
}

// plain writes a resource whose work is done at once.
func (b *bench) plain(id, doc string) {
	b.t.Helper()
	if _, err := b.server.Write(b.ctx, user, id, unmarshal[map[string]any](b.t, []byte(doc)), ""); err != nil {
		b.t.Fatal(err)
	}
}

package containerservice_test

import (
	"net/http"
	"regexp"
	"testing"
)

func TestConnections(t *testing.T) {
	b := prepared(t)
	b.write(clusterID, create)
	const extra = group + "/providers/Microsoft.Network/privateEndpoints/extra"
	b.plain(extra, `{"location":"eastus","properties":{"subnet":{"id":"`+subnetID+`"},"manualPrivateLinkServiceConnections":[{"name":"x","properties":{"privateLinkServiceId":"`+clusterID+`","groupIds":["management"]}}]}}`)
	status, doc := b.call(http.MethodGet, clusterID+"/privateEndpointConnections", "")
	list, _ := at(doc, "value").([]any)
	if status != http.StatusOK || len(list) != 2 {
		t.Fatalf("%d %v", status, doc)
	}
	var own, other string
	for _, v := range list {
		m := v.(map[string]any)
		name := at(m, "name").(string)
		if at(m, "properties.privateEndpoint.id") == extra {
			other = name
		} else if regexp.MustCompile(`^kube-apiserver\.[0-9a-f-]{36}$`).MatchString(name) {
			own = name
		}
	}
	if own == "" || other == "" {
		t.Fatalf("connections %v", list)
	}
	for _, c := range []struct {
		method, name, body string
		want               int
	}{
		{http.MethodGet, other, "", http.StatusOK},
		{http.MethodGet, "nobody", "", http.StatusNotFound},
		{http.MethodPut, other, `{"properties":{"privateLinkServiceConnectionState":{"status":"Maybe"}}}`, http.StatusBadRequest},
		{http.MethodPut, other, `{"properties":{"privateLinkServiceConnectionState":{"status":"approved","description":"fine"}}}`, http.StatusOK},
		{http.MethodPut, own, `{"properties":{"privateLinkServiceConnectionState":{"status":"Rejected"}}}`, http.StatusConflict},
		{http.MethodDelete, own, "", http.StatusConflict},
		{http.MethodDelete, "nobody", "", http.StatusNoContent},
	} {
		if got, doc := b.call(c.method, clusterID+"/privateEndpointConnections/"+c.name, c.body); got != c.want {
			t.Errorf("%s %s %s: %d %v, want %d", c.method, c.name, c.body, got, doc, c.want)
		}
	}
	if got := at(b.document(extra), "properties.manualPrivateLinkServiceConnections.0.properties.privateLinkServiceConnectionState.status"); got != "Approved" {
		t.Errorf("the endpoint's own document says %v", got)
	}
	if got, doc := b.call(http.MethodDelete, clusterID+"/privateEndpointConnections/"+other, ""); got != http.StatusOK {
		t.Errorf("delete: %d %v", got, doc)
	}
	if _, doc = b.call(http.MethodGet, clusterID+"/privateEndpointConnections/"+other, ""); at(doc, "properties.privateLinkServiceConnectionState.status") != "Disconnected" {
		t.Errorf("after delete: %v", doc)
	}
}

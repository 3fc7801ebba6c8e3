package fuzz

import (
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"
)

var methods = []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodPost, http.MethodDelete, http.MethodHead, http.MethodOptions}

// FuzzRequest sends any method, path, query and body.
func FuzzRequest(f *testing.F) {
	for _, w := range append(contents(), recorded(f)...) {
		f.Add(uint8(max(0, slices.Index(methods, w.method))), w.target, w.body)
	}
	for _, query := range []string{
		"$filter=tagName%20eq%20%27a%27", "$filter=resourceType%20eq%20%27Microsoft.Network%2FvirtualNetworks%27&$top=1", "$top=-1", "$top=1&$skipToken=x",
		"$expand=createdTime", "$select=name&$orderby=name", "$recordsetnamesuffix=w", "server-fqdn=public&format=exec", "ipAddress=10.240.0.4", "$filter=atScope()",
	} {
		for _, path := range []string{"/resources", "/resourceGroups", "/resourceGroups/rg/resources", "/providers/Microsoft.Authorization/roleAssignments", "/resourceGroups/rg/providers/Microsoft.Network/privateDnsZones/corp.example/ALL",
			"/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v/CheckIPAddressAvailability", "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c/upgradeProfiles/default"} {
			f.Add(uint8(0), subscription+path+"?"+version+"&"+query, []byte(nil))
		}
	}
	w := newWorld(f)
	w.fuzz(f, w.token)
}

// fuzz sends requests with a token, each to the world as it was at first.
func (w *world) fuzz(f *testing.F, token string) {
	f.Fuzz(func(t *testing.T, method uint8, target string, body []byte) {
		w.restore()
		m := methods[int(method)%len(methods)]
		if why := broken(w.call(m, target, token, body)); why != "" {
			t.Fatalf("%s %s %q: %s", m, target, body, why)
		}
	})
}

// FuzzGraph sends requests to the part of Microsoft Graph that clients need.
func FuzzGraph(f *testing.F) {
	for _, target := range []string{
		"/msgraph/v1.0/users", "/msgraph/v1.0/me", "/msgraph/v1.0/organization", "/msgraph/v1.0/groups?$filter=displayName%20eq%20'x'",
		"/msgraph/v1.0/servicePrincipals?$filter=servicePrincipalNames/any(c:c%20eq%20'x')", "/msgraph/v1.0/applications?$filter=appId%20eq%20'x'&$top=3&$select=id",
		"/msgraph/v1.0/applications/x/addPassword", "/msgraph/v1.0/directoryObjects/getByIds", "/msgraph/beta/users/a@b", "/metadata/endpoints?api-version=2022-09-01",
	} {
		for m := range methods {
			for _, body := range []string{"", `{"displayName":"x"}`, `{"ids":["x"],"types":["user"]}`, `{"appId":"x"}`, `{"passwordCredential":{"displayName":1}}`, `[]`} {
				f.Add(uint8(m), target, []byte(body))
			}
		}
	}
	w := newWorld(f)
	w.fuzz(f, w.graph)
}

// odd are values that may stand where something else was meant.
var odd = []string{
	`null`, `true`, `0`, `-1`, `1.5`, `1e308`, `99999999999`, `""`, `" "`, `"x"`, `"*"`, `"\u0000"`, `"é/../\\"`, `[]`, `[null]`, `[[]]`, `[{}]`, `["x","x"]`, `{}`, `{"":null}`, `{"id":null}`, `{"id":"/"}`,
	`{"id":"/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v"}`, `{"name":null,"properties":null}`, `"0.0.0.0/0"`, `"255.255.255.255/32"`, `"10.0.0.0/33"`, `"::/0"`,
	`[{"name":"a","properties":{}},{"name":"A","properties":{}}]`,
}

// at finds the nth value in a JSON document, in the order of names, and replaces it; false: there are fewer. path tells where it was.
func at(v any, n *int, with any, path string) (out any, where string) {
	if *n == 0 {
		*n = -1
		return with, path
	}
	*n--
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for k := range v {
			names = append(names, k)
		}
		sort.Strings(names)
		for _, k := range names {
			if v[k], where = at(v[k], n, with, path+"."+k); *n < 0 {
				return v, where
			}
		}
	case []any:
		for i := range v {
			if v[i], where = at(v[i], n, with, path+"[]"); *n < 0 {
				return v, where
			}
		}
	}
	return v, ""
}

// oddBody is a body with its nth value replaced; "" where: it has fewer.
func oddBody(body []byte, n int, value any) (out []byte, where string) {
	var doc any
	if json.Unmarshal(body, &doc) != nil {
		return nil, ""
	}
	doc, where = at(doc, &n, value, "$")
	if n >= 0 {
		return nil, ""
	}
	out, err := json.Marshal(doc)
	if err != nil {
		return nil, ""
	}
	return out, where
}

// TestOddValues puts every odd value in every place of the bodies of every type.
func TestOddValues(t *testing.T) {
	w := newWorld(t)
	sent := 0
	for _, c := range contents() {
		path, _, _ := strings.Cut(c.target, "?")
		for _, target := range []string{c.target, path + "2?" + version} { // what is there, and a new one
			for _, method := range []string{http.MethodPut, http.MethodPatch} {
				for n := 0; ; n++ {
					if _, where := oddBody(c.body, n, nil); where == "" {
						break
					}
					for _, text := range odd {
						var value any
						if err := json.Unmarshal([]byte(text), &value); err != nil {
							t.Fatal(err)
						}
						body, where := oddBody(c.body, n, value)
						w.restore()
						sent++
						if why := broken(w.call(method, target, w.token, body)); why != "" {
							t.Errorf("%s %s with %s at %s: %s", method, target, text, where, why)
						}
					}
				}
			}
		}
	}
	if sent < 5000 {
		t.Errorf("only %d requests", sent)
	}
}

// FuzzValues puts any value in any place of what a type takes.
func FuzzValues(f *testing.F) {
	all := append(contents(), recorded(f)...)
	for i, text := range odd {
		f.Add(uint16(i), uint8(i), text)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, which uint16, place uint8, text string) {
		c := all[int(which)%len(all)]
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			value = text
		}
		body, where := oddBody(c.body, int(place), value)
		if where == "" {
			return
		}
		w.restore()
		method := c.method
		if place%2 == 1 && method == http.MethodPut {
			method = http.MethodPatch
		}
		if why := broken(w.call(method, c.target, w.token, body)); why != "" {
			t.Fatalf("%s %s %s: %s", method, c.target, body, why)
		}
	})
}

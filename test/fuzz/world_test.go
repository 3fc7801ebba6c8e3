// Package fuzz throws requests at the whole ARM endpoint: whatever comes, no
// answer is a server's error. The store is in memory and begins anew with each request.
package fuzz

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"os"

	"cloister.dev/cloister/internal/app"
	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// Fixed, so that a request that was found means the same the next time.
const (
	subscription = "/subscriptions/11111111-1111-4111-8111-111111111111"
	tenant       = "22222222-2222-4222-8222-222222222222"
	version      = "api-version=2024-01-01"
)

// world is an endpoint with resources of every kind, all of them settled.
type world struct {
	handler http.Handler
	restore func()
	token   string // for ARM
	graph   string // for Graph
	base    string
}

// call sends a request and returns the answer's status and body.
func (w *world) call(method, target, token string, body []byte) (int, string) {
	r, err := http.NewRequest(method, w.base+"/", strings.NewReader(string(body)))
	if err != nil {
		return 0, err.Error()
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return 0, err.Error() // net/http refuses it before a handler sees it
	}
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
	r.RequestURI, r.RemoteAddr = target, "192.0.2.1:1"
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out.Code, out.Body.String()
}

// newWorld makes one.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	m, cfg := storetest.NewMemory(), config.Default()
	cfg.TenantID, cfg.SubscriptionID = tenant, strings.TrimPrefix(subscription, "/subscriptions/")
	cfg.TokenLifetime *= 24
	admin, err := identity.Bootstrap(ctx, m, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	h, _, err := app.Endpoint(ctx, cfg, m, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{handler: h, base: cfg.BaseURL()}
	for scope, token := range map[string]*string{"/.default": &w.token, "/msgraph/.default": &w.graph} {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {admin.ClientSecret}, "scope": {cfg.BaseURL() + scope}}
		r := httptest.NewRequest(http.MethodPost, cfg.BaseURL()+"/adfs/oauth2/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		out := httptest.NewRecorder()
		h.ServeHTTP(out, r)
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal(out.Body.Bytes(), &answer); err != nil || answer.Token == "" {
			tb.Fatalf("token: %d %s", out.Code, out.Body)
		}
		*token = answer.Token
	}
	for _, c := range contents() {
		if status, text := w.call(http.MethodPut, c.target, w.token, c.body); status != 200 && status != 201 && status != 202 {
			tb.Fatalf("%s: %d %s", c.target, status, text)
		}
		settle(tb, m)
	}
	w.restore = m.Snapshot()
	return w
}

// settle ends every operation well: no reconciler runs here.
func settle(tb testing.TB, m *storetest.Memory) {
	tb.Helper()
	docs, _, err := m.List(context.Background(), "/res/")
	if err != nil {
		tb.Fatal(err)
	}
	tx := &store.Tx{}
	for _, d := range docs {
		var r map[string]any
		if err := json.Unmarshal(d.Value, &r); err != nil {
			tb.Fatal(err)
		}
		if r["state"] != "Succeeded" {
			r["state"] = "Succeeded"
			delete(r, "operation")
			tx.Update(d.Key, d.Rev, r)
		}
	}
	if _, err := m.Commit(context.Background(), tx); err != nil {
		tb.Fatal(err)
	}
}

type write struct {
	method, target string
	body           []byte
}

// contents are the writes that make the world: a group, and one of most types in it.
func contents() []write {
	const (
		group   = subscription + "/resourceGroups/rg"
		net     = group + "/providers/Microsoft.Network/"
		subnet  = net + "virtualNetworks/v/subnets/s"
		cluster = group + "/providers/Microsoft.ContainerService/managedClusters/c"
	)
	var out []write
	for _, c := range []struct{ path, body string }{
		{group, `{"location":"eastus","tags":{"a":"b"}}`},
		{net + "networkSecurityGroups/g", `{"location":"eastus","properties":{"securityRules":[{"name":"r","properties":{"protocol":"Tcp","access":"Allow","direction":"Inbound","priority":100,"sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"VirtualNetwork","destinationPortRanges":["80","443-445"]}}]}}`},
		{net + "virtualNetworks/v", `{"location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]},"subnets":[{"name":"s","properties":{"addressPrefix":"10.240.0.0/16","networkSecurityGroup":{"id":"` + net + `networkSecurityGroups/g"}}}]}}`},
		{net + "publicIPAddresses/p", `{"location":"eastus","sku":{"name":"Standard"},"properties":{"publicIPAllocationMethod":"Static","idleTimeoutInMinutes":4}}`},
		{net + "loadBalancers/b", `{"location":"eastus","sku":{"name":"Standard"},"properties":{"frontendIPConfigurations":[{"name":"f","properties":{"publicIPAddress":{"id":"` + net + `publicIPAddresses/p"}}}],"backendAddressPools":[{"name":"x"}]}}`},
		{net + "networkInterfaces/n", `{"location":"eastus","properties":{"networkSecurityGroup":{"id":"` + net + `networkSecurityGroups/g"},"ipConfigurations":[{"name":"first","properties":{"privateIPAllocationMethod":"Static","privateIPAddress":"10.240.0.9","subnet":{"id":"` + subnet + `"}}}]}}`},
		{net + "privateDnsZones/corp.example", `{"location":"global","tags":{}}`},
		{net + "privateDnsZones/corp.example/virtualNetworkLinks/l", `{"location":"global","properties":{"registrationEnabled":false,"virtualNetwork":{"id":"` + net + `virtualNetworks/v"}}}`},
		{net + "privateDnsZones/corp.example/A/www", `{"properties":{"ttl":300,"metadata":{"a":"b"},"aRecords":[{"ipv4Address":"10.0.0.1"}]}}`},
		{net + "privateDnsZones/corp.example/CNAME/alias", `{"properties":{"ttl":300,"cnameRecord":{"cname":"www.corp.example"}}}`},
		{group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity", `{"location":"eastus"}`},
		{group + "/providers/Microsoft.Authorization/roleAssignments/33333333-3333-4333-8333-333333333333", `{"properties":{"roleDefinitionId":"` + subscription + `/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7","principalId":"44444444-4444-4444-8444-444444444444","principalType":"ServicePrincipal"}}`},
		{cluster, `{"location":"eastus","identity":{"type":"SystemAssigned"},"properties":{"dnsPrefix":"c","agentPoolProfiles":[{"name":"nodepool1","count":1,"mode":"System","osType":"Linux","type":"VirtualMachineScaleSets","vnetSubnetID":"` + subnet + `","nodeLabels":{"x":"y"},"nodeTaints":["a=b:NoSchedule"]}],"networkProfile":{"networkPlugin":"azure","serviceCidr":"10.2.0.0/24","dnsServiceIP":"10.2.0.10","outboundType":"loadBalancer","loadBalancerSku":"standard"},"apiServerAccessProfile":{"authorizedIPRanges":[],"enablePrivateCluster":true}}}`},
		{cluster + "/agentPools/two", `{"properties":{"count":1,"mode":"User","osType":"Linux","type":"VirtualMachineScaleSets","vnetSubnetID":"` + subnet + `","maxPods":20}}`},
		{net + "privateEndpoints/e", `{"location":"eastus","properties":{"subnet":{"id":"` + subnet + `"},"privateLinkServiceConnections":[{"name":"x","properties":{"privateLinkServiceId":"` + cluster + `","groupIds":["management"]}}]}}`},
		{net + "privateEndpoints/e/privateDnsZoneGroups/default", `{"properties":{"privateDnsZoneConfigs":[{"name":"z","properties":{"privateDnsZoneId":"` + net + `privateDnsZones/corp.example"}}]}}`},
	} {
		out = append(out, write{http.MethodPut, c.path + "?" + version, []byte(c.body)})
	}
	return out
}

// recorded are the requests of every scenario in the tree: what each type takes and refuses.
func recorded(tb testing.TB) []write {
	tb.Helper()
	var files []string
	for _, pattern := range []string{"../../internal/*/testdata/api/*/*.json", "../../internal/provider/*/testdata/api/*/*.json", "../../internal/provider/*/*/testdata/api/*/*.json", "../api/scenarios/*/*.json"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			tb.Fatal(err)
		}
		files = append(files, more...)
	}
	if len(files) < 100 {
		tb.Fatalf("only %d scenario steps were found", len(files))
	}
	group := subscription + "/resourceGroups/rg"
	known := strings.NewReplacer("${sub}", subscription, "${group}", group, "${vnet}", group+"/providers/Microsoft.Network/virtualNetworks",
		"${net}", group+"/providers/Microsoft.Network", "${zones}", group+"/providers/Microsoft.Network/privateDnsZones", "${rg}", group, "${tenant}", tenant)
	var out []write
	seen := map[string]bool{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		var step struct {
			Request struct {
				Method, Path, Raw string
				Body              json.RawMessage
			} `json:"request"`
		}
		if err := json.Unmarshal([]byte(known.Replace(string(raw))), &step); err != nil {
			tb.Fatalf("%s: %v", f, err)
		}
		q := step.Request
		if strings.Contains(q.Path, "${") || !strings.HasPrefix(q.Path, "/") {
			continue
		}
		if !strings.Contains(q.Path, "api-version") {
			q.Path += map[bool]string{true: "&", false: "?"}[strings.Contains(q.Path, "?")] + version
		}
		body := []byte(q.Raw)
		if len(q.Body) > 0 {
			body = q.Body
		}
		if key := q.Method + q.Path + string(body); !seen[key] {
			seen[key] = true
			out = append(out, write{q.Method, q.Path, body})
		}
	}
	return slices.Clip(out)
}

// broken says what is wrong with an answer: nothing that a client sends makes the server fail.
func broken(status int, text string) string {
	if status >= http.StatusInternalServerError {
		return text
	}
	return ""
}

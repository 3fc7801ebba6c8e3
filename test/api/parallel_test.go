package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"cloister.dev/cloister/test/api"
)

// TestManyAtOnce makes interfaces in one subnet at the same time: each takes an
// address of the same pool, and none may be sent away for that, nor get another's.
func TestManyAtOnce(t *testing.T) {
	target := endpoint(t)
	group := target.Vars["sub"] + "/resourceGroups/rg"
	network := group + "/providers/Microsoft.Network/virtualNetworks/v"
	put(t, target, group, `{"location":"eastus"}`)
	put(t, target, network, `{"location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]},"subnets":[{"name":"s","properties":{"addressPrefix":"10.1.0.0/24"}}]}}`)
	var wg sync.WaitGroup
	answers := make([]string, 60)
	for i := range answers {
		wg.Go(func() {
			answers[i] = put(t, target, fmt.Sprintf("%s/providers/Microsoft.Network/networkInterfaces/n%d", group, i),
				`{"location":"eastus","properties":{"ipConfigurations":[{"name":"c","properties":{"subnet":{"id":"`+network+`/subnets/s"}}}]}}`)
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, a := range answers {
		_, rest, _ := strings.Cut(a, `"privateIPAddress":"`)
		address, _, _ := strings.Cut(rest, `"`)
		if address == "" || seen[address] {
			t.Errorf("address %q in %s", address, a)
		}
		seen[address] = true
	}
}

func put(t *testing.T, target api.Target, path, body string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, path+"?api-version=2024-01-01", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+target.Tokens["admin"])
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	target.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusCreated && w.Code != http.StatusOK {
		t.Errorf("PUT %s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

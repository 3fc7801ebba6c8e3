package arm_test

import (
	"testing"

	"cloister.dev/cloister/test/api"
)

// TestAPI runs the folders of steps in testdata/api against toy types.
func TestAPI(t *testing.T) {
	api.Run(t, "testdata/api", func(t *testing.T) api.Target {
		srv, _, _ := start(t)
		base := "/subscriptions/" + sub
		return api.Target{
			Handler: srv.Handler(),
			Vars:    map[string]string{"sub": base, "rg": base + "/resourceGroups/rg", "net": base + "/resourceGroups/rg/providers/Toy.Net/nets"},
			Tokens:  map[string]string{"admin": "admin", "reader": "reader", "one": "one", "nobody": "nobody", "wrong": "wrong", "panic": "panic"},
		}
	})
}

package network_test

import (
	"fmt"
	"sync"
	"testing"
)

// TestManyAtOnce makes many interfaces in one subnet with one security group at the same time, as
// tools do: none may fail because of the others.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	b.write(net+"/networkSecurityGroups/g", `{"location":"eastus"}`)
	errs := make([]error, 10)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			errs[i] = b.try(fmt.Sprintf("%s/networkInterfaces/n%d", net, i), `{"location":"eastus","properties":{"networkSecurityGroup":{"id":"`+net+`/networkSecurityGroups/g"},
				"ipConfigurations":[{"name":"a","properties":{"subnet":{"id":"`+subnet+`"}}}]}}`)
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

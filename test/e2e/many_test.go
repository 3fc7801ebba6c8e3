package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestNothingLeft makes many clusters and deletes them, and compares everything that they could leave behind.
// CLOISTER_CLUSTERS says how many; they are made a few at a time.
func TestNothingLeft(t *testing.T) {
	if !playHost(t) {
		return
	}
	c := newCloud(t, "many")
	before := c.settledInventory()
	total, batch := number(t, "CLOISTER_CLUSTERS", 20), 4
	for first := 0; first < total; first += batch {
		start := time.Now()
		var groups []string
		for n := first; n < min(total, first+batch); n++ {
			groups = append(groups, fmt.Sprintf("many%d", n))
		}
		for _, g := range groups {
			c.network(g)
			c.must(http.MethodPut, c.clusterID(g), c.clusterBody(g, 1))
		}
		for _, g := range groups {
			c.eventually("the cluster of "+g+" is there", 4*time.Minute, func() error { return c.well(g, 1) })
		}
		made := time.Since(start)
		// Half of them go by their groups, the others first themselves.
		var wg sync.WaitGroup
		for i, g := range groups {
			wg.Go(func() {
				if i%2 == 0 {
					c.must(http.MethodDelete, c.clusterID(g), nil)
				}
			})
		}
		wg.Wait()
		for _, g := range groups {
			c.deleteGroup(g)
		}
		c.asBefore(before)
		fmt.Printf("   %d clusters made in %.1f s, gone without a trace after %.1f s\n", len(groups), made.Seconds(), time.Since(start).Seconds()-made.Seconds())
	}
}

// deleteGroup deletes a group and waits until it is gone.
func (c *cloud) deleteGroup(group string) {
	c.t.Helper()
	c.eventually("group "+group+" goes", 4*time.Minute, func() error {
		state, err := c.state(c.group(group))
		switch {
		case err != nil:
			return err
		case state == "":
			return nil
		case state == "Deleting":
			return fmt.Errorf("it is %s", state)
		}
		if _, err := c.send(http.MethodDelete, c.group(group), nil); err != nil {
			return err
		}
		return fmt.Errorf("it was %s", state)
	})
}

// number is an environment variable's, or another one.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is no number", name, text)
	}
	return n
}

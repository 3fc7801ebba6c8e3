package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"
)

// TestChaos makes, scales and deletes clusters, and at a random moment of each ends something that should live, by kill -9. All
// must come to where it should, and what runs must go on. CLOISTER_CHAOS_SEED repeats a run, as far as chance is the test's own;
// CLOISTER_CHAOS_ROUNDS says how long it is, CLOISTER_CHAOS_VICTIM what ends (default: anything).
func TestChaos(t *testing.T) {
	if !playHost(t) {
		return
	}
	seed := uint64(number(t, "CLOISTER_CHAOS_SEED", int(time.Now().Unix())))
	rounds := number(t, "CLOISTER_CHAOS_ROUNDS", 7)
	fmt.Printf("   CLOISTER_CHAOS_SEED=%d CLOISTER_CHAOS_ROUNDS=%d\n", seed, rounds)
	c := newCloud(t, "chaos")
	before := c.settledInventory()
	w := &chaos{cloud: c, dice: rand.New(rand.NewPCG(seed, 1)), nodes: map[string]int{}}

	// One cluster lives through it all, with a pod that somebody in its network asks all the time.
	c.network("base")
	c.must(http.MethodPut, c.clusterID("base"), c.clusterBody("base", 1))
	c.eventually("the first cluster is there", 4*time.Minute, func() error { return c.well("base", 1) })
	one, err := c.spec("base")
	if err != nil {
		t.Fatal(err)
	}
	seen, stopProbe := c.startProbe(c.subnet("base"), one.PrivateFQDN, "http://"+c.hello("base")+":8080/")
	w.seen = seen
	w.last = w.seen()

	var total counts
	for round := range rounds {
		total = w.round(round, total)
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
	fmt.Printf("   %d rounds: %s\n", rounds, total)
	stopProbe()
	for _, g := range append(w.groups(), "base") {
		c.deleteGroup(g)
	}
	c.asBefore(before)
}

// chaos is a world with clusters by group, and how many nodes each should have.
type chaos struct {
	*cloud
	dice  *rand.Rand
	nodes map[string]int
	made  int
	seen  func() counts
	last  counts
}

func (w *chaos) groups() []string {
	var out []string
	for n := range w.made {
		if g := fmt.Sprintf("g%d", n); w.nodes[g] > 0 {
			out = append(out, g)
		}
	}
	return out
}

// round asks for something, ends something meanwhile, and waits until all is well.
func (w *chaos) round(n int, total counts) counts {
	w.t.Helper()
	what, ask, group := w.wish()
	victims := w.victims()
	if only := os.Getenv("CLOISTER_CHAOS_VICTIM"); only != "" {
		victims = slices.DeleteFunc(victims, func(v victim) bool { return v.name != only })
	}
	if len(victims) == 0 {
		w.t.Fatalf("CLOISTER_CHAOS_VICTIM=%s is none of those that end", os.Getenv("CLOISTER_CHAOS_VICTIM"))
	}
	victim := victims[w.dice.IntN(len(victims))]
	delay := time.Duration(w.dice.IntN(10_000)) * time.Millisecond
	away := time.Duration(w.dice.IntN(3_000)) * time.Millisecond
	fmt.Printf("   round %d: %s %s; after %.1f s %s ends", n, what, group, delay.Seconds(), victim.name)
	start := time.Now()
	asked := make(chan struct{})
	go func() { defer close(asked); ask() }()
	<-time.After(delay)
	killed, err := victim.kill(w)
	if err != nil {
		w.t.Errorf("end %s: %v", victim.name, err)
	}
	fmt.Printf(" (%v)\n", killed)
	if victim.daemon {
		<-time.After(away)
		w.cloister("up")
	}
	<-asked
	for _, g := range append(w.groups(), "base") {
		nodes := max(1, w.nodes[g])
		w.eventually("the cluster of "+g+" is well", 4*time.Minute, func() error { return w.well(g, nodes) })
	}
	if w.nodes[group] == 0 {
		w.deleteGroup(group)
	}
	w.eventually("every part is well", 2*time.Minute, w.partsWell)
	w.answers(w.seen)
	now := w.seen()
	part := now.minus(w.last)
	w.last = now
	fmt.Printf("      well after %.1f s; %s\n", time.Since(start).Seconds(), part)
	if part.LookupsFailed > victim.lookups || part.GetsFailed > victim.gets {
		w.t.Errorf("%s ended, and what runs noticed: %s; at most %d and %d may fail", victim.name, part, victim.lookups, victim.gets)
	}
	total.Lookups, total.LookupsFailed = total.Lookups+part.Lookups, total.LookupsFailed+part.LookupsFailed
	total.Gets, total.GetsFailed, total.Last = total.Gets+part.Gets, total.GetsFailed+part.GetsFailed, part.Last
	return total
}

// wish chooses what a person asks for: a new cluster, another number of nodes, or a cluster's end.
func (w *chaos) wish() (what string, ask func(), group string) {
	groups := w.groups()
	if len(groups) == 0 || len(groups) < 2 && w.dice.IntN(3) == 0 {
		group = fmt.Sprintf("g%d", w.made)
		w.made++
		w.nodes[group] = 1
		return "create", func() { w.network(group); w.put(group, 1) }, group
	}
	group = groups[w.dice.IntN(len(groups))]
	if w.dice.IntN(2) == 0 {
		w.nodes[group] = 3 - w.nodes[group]
		nodes := w.nodes[group]
		return fmt.Sprintf("scale to %d nodes", nodes), func() { w.put(group, nodes) }, group
	}
	w.nodes[group] = 0
	return "delete", func() { w.deleteGroup(group) }, group
}

// put asks for the cluster until it was accepted. Who did not hear the answer asks again, and may be told that it is under way.
func (w *chaos) put(group string, nodes int) {
	w.eventually("the request is accepted", 2*time.Minute, func() error {
		_, err := w.send(http.MethodPut, w.clusterID(group), w.clusterBody(group, nodes))
		var doc error
		if err != nil {
			state, stateErr := w.state(w.clusterID(group))
			if stateErr == nil && (state == "Creating" || state == "Updating" || state == "Scaling") {
				return nil
			}
			doc = stateErr
		}
		return errors.Join(err, doc)
	})
}

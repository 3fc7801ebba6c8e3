package storetest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// TestMemoryIsLikeEtcd does the same to both, and wants the same answers and the same events.
func TestMemoryIsLikeEtcd(t *testing.T) {
	etcd, _ := storetest.Start(t)
	memory := storetest.NewMemory()
	both := []store.Store{etcd, memory}
	var events [2]<-chan store.Event
	for i, s := range both {
		events[i] = s.Watch(t.Context(), "/k/", 1)
	}
	dice := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for range 300 {
		tx, keys := new(store.Tx), dice.Perm(6)
		for _, k := range keys[:1+dice.IntN(3)] {
			key := fmt.Sprintf("/k/%d", k)
			if dice.IntN(2) == 0 {
				rev, err := memory.Get(t.Context(), key, nil)
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Fatal(err)
				}
				tx.Expect(key, rev-int64(dice.IntN(8)/7))
			}
			if dice.IntN(3) == 0 {
				tx.Delete(key)
			} else {
				tx.Put(key, dice.IntN(100))
			}
		}
		if dice.IntN(10) == 0 {
			tx.Put(tx.Changes[0].Key, "twice")
		}
		var revs [2]int64
		var outcomes [2]string
		for i, s := range both {
			rev, err := s.Commit(t.Context(), tx)
			outcomes[i] = outcome(err)
			revs[i] = rev
		}
		if revs[0] != revs[1] || outcomes[0] != outcomes[1] {
			t.Fatalf("%+v: etcd %d %s, memory %d %s", tx, revs[0], outcomes[0], revs[1], outcomes[1])
		}
		var lists [2][]store.Doc
		for i, s := range both {
			docs, rev, err := s.List(t.Context(), "/k/")
			if err != nil {
				t.Fatal(err)
			}
			lists[i], revs[i] = docs, rev
		}
		if revs[0] != revs[1] || !reflect.DeepEqual(lists[0], lists[1]) && len(lists[0])+len(lists[1]) > 0 {
			t.Fatalf("etcd has %v, memory %v", lists[0], lists[1])
		}
		sent = int(revs[0])
	}
	for last := [2]int64{}; last[0] < int64(sent); {
		a, b := <-events[0], <-events[1]
		if a.Key != b.Key || a.Rev != b.Rev || a.Deleted != b.Deleted || string(a.Value) != string(b.Value) {
			t.Fatalf("etcd sends %+v, memory %+v", a, b)
		}
		last = [2]int64{a.Rev, b.Rev}
		if a.Rev == int64(sent) {
			break
		}
	}
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, store.ErrConflict):
		return "conflict"
	}
	return "error"
}

package containerservice_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// faulty is a store whose every nth commit fails: half of those are not done, the
// others are done without anybody being told.
type faulty struct {
	store.Store
	nth     int64
	commits atomic.Int64
	off     atomic.Bool
}

var errFault = errors.New("the store is away")

func (f *faulty) Commit(ctx context.Context, tx *store.Tx) (int64, error) {
	n := f.commits.Add(1)
	switch {
	case f.off.Load() || n%f.nth != 0:
		return f.Store.Commit(ctx, tx)
	case n/f.nth%2 == 0:
		return 0, errFault
	}
	if _, err := f.Store.Commit(ctx, tx); err != nil {
		return 0, err
	}
	return 0, errFault
}

// TestFaults makes and deletes clusters with a store that fails at ever other steps.
func TestFaults(t *testing.T) {
	for _, nth := range []int64{3, 4, 5, 7} {
		t.Run(strconv.FormatInt(nth, 10), func(t *testing.T) {
			t.Parallel()
			f := &faulty{Store: storetest.New(t), nth: nth}
			f.off.Store(true)
			b := newBench(t, f)
			b.surroundings()
			if _, err := b.server.Write(b.ctx, user, clusterID, unmarshal[map[string]any](t, []byte(create)), ""); err != nil {
				t.Fatal(err)
			}
			machine := newBench(t, f.Store) // the machine's own reports are not what is tested
			t.Cleanup(b.startWith(machine))
			f.off.Store(false)
			if r := b.settled(clusterID); r.State != "Succeeded" {
				t.Fatalf("state %s, %v", r.State, r.Error)
			}
			checkNodes(b, checkSpecs(b), 3)
			checkMembers(b)
			for _, err := b.server.Delete(b.ctx, user, clusterID); errors.Is(err, errFault); {
				_, err = b.server.Delete(b.ctx, user, clusterID)
			}
			b.until("the cluster is gone", func() bool { return !b.exists(clusterID) })
			checkNothing(b)
		})
	}
}

package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

func cached(t *testing.T) (*store.Cached, *store.Etcd) {
	t.Helper()
	e, _ := storetest.Start(t)
	c, err := store.NewCached(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, e
}

func TestCachedReadsItsCommits(t *testing.T) {
	c, _ := cached(t)
	ctx := t.Context()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			key := fmt.Sprintf("/res/%d/x", w)
			var rev int64
			for i := range 100 {
				tx := (&store.Tx{}).Update(key, rev, doc{i}).Put("/other", doc{i})
				var err error
				if rev, err = c.Commit(ctx, tx); err != nil {
					t.Error(err)
					return
				}
				var got doc
				if r, err := c.Get(ctx, key, &got); err != nil || r != rev || got.N != i {
					t.Errorf("%+v at %d after writing %d at %d: %v", got, r, i, rev, err)
				}
				docs, at, err := c.List(ctx, fmt.Sprintf("/res/%d/", w))
				if err != nil || len(docs) != 1 || docs[0].Rev != rev || at < rev {
					t.Errorf("list %v at %d: %v", docs, at, err)
				}
			}
			if _, err := c.Commit(ctx, (&store.Tx{}).Delete(key)); err != nil {
				t.Error(err)
			}
			if _, err := c.Get(ctx, key, nil); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("deleted: %v", err)
			}
		})
	}
	wg.Wait()
	if docs, _, err := c.List(ctx, "/res/"); err != nil || len(docs) != 0 {
		t.Errorf("left: %v %v", docs, err)
	}
}

// A conflict with somebody else's write is not seen again after reading anew.
func TestCachedAfterConflict(t *testing.T) {
	c, other := cached(t)
	ctx := t.Context()
	for i := range 50 {
		var rev int64
		if r, err := c.Get(ctx, "/res/a", nil); err == nil {
			rev = r
		}
		if _, err := other.Commit(ctx, (&store.Tx{}).Put("/res/a", doc{i})); err != nil {
			t.Fatal(err)
		}
		// Either the watch was quicker, or the commit is refused and the next read sees why.
		if _, err := c.Commit(ctx, (&store.Tx{}).Update("/res/a", rev, doc{-1})); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("stale update: %v", err)
		}
		var got doc
		if _, err := c.Get(ctx, "/res/a", &got); err != nil || got.N != i {
			t.Fatalf("round %d: %+v, %v", i, got, err)
		}
	}
}

// A commit that changes nothing below the prefix sends no event; reads go on all the same.
func TestCachedAfterNothing(t *testing.T) {
	c, _ := cached(t)
	ctx := t.Context()
	if _, err := c.Commit(ctx, (&store.Tx{}).Delete("/res/none").Put("/other", doc{1})); err != nil {
		t.Fatal(err)
	}
	if docs, _, err := c.List(ctx, "/res/"); err != nil || len(docs) != 0 {
		t.Fatal(docs, err)
	}
}

// Who hears of a change reads it, whoever made it.
func TestCachedAfterEvent(t *testing.T) {
	c, other := cached(t)
	ctx := t.Context()
	events := c.Watch(ctx, "/res/", 0)
	for i := range 200 {
		tx := (&store.Tx{}).Put("/res/a", doc{i})
		if i%2 == 1 {
			tx = (&store.Tx{}).Delete("/res/a")
		}
		if _, err := other.Commit(ctx, tx); err != nil {
			t.Fatal(err)
		}
		e := <-events
		rev, err := c.Get(ctx, "/res/a", nil)
		if e.Deleted != errors.Is(err, store.ErrNotFound) || !e.Deleted && rev != e.Rev {
			t.Fatalf("event of revision %d (deleted %t), read %d: %v", e.Rev, e.Deleted, rev, err)
		}
	}
}

func TestCachedMemo(t *testing.T) {
	c, _ := cached(t)
	ctx := t.Context()
	n := 0
	made := func() int {
		d, err := c.Doc(ctx, "/res/a")
		if err != nil {
			t.Fatal(err)
		}
		v, err := d.Memo(func(store.Doc) (any, error) { n++; return n, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v.(int)
	}
	for version := 1; version <= 3; version++ {
		if _, err := c.Commit(ctx, (&store.Tx{}).Put("/res/a", doc{version})); err != nil {
			t.Fatal(err)
		}
		if a, b := made(), made(); a != version || b != version {
			t.Errorf("version %d: made %d, %d", version, a, b)
		}
	}
}

package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

type doc struct{ N int }

func TestGetAndCommit(t *testing.T) {
	s, _ := storetest.Start(t)
	ctx := t.Context()
	if _, err := s.Get(ctx, "/a", nil); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("nothing there: %v", err)
	}
	rev, err := s.Commit(ctx, (&store.Tx{}).Create("/a", doc{1}).Create("/b", doc{2}))
	if err != nil {
		t.Fatal(err)
	}
	var got doc
	if r, err := s.Get(ctx, "/a", &got); err != nil || r != rev || got.N != 1 {
		t.Fatalf("got %+v at %d, want revision %d: %v", got, r, rev, err)
	}
	for name, tx := range map[string]*store.Tx{
		"create where something is":     (&store.Tx{}).Create("/a", doc{9}).Put("/c", doc{9}),
		"update of an older revision":   (&store.Tx{}).Update("/a", rev-1, doc{9}).Put("/c", doc{9}),
		"one condition of two":          (&store.Tx{}).Expect("/b", rev).Expect("/a", 0).Put("/c", doc{9}),
		"update of what does not exist": (&store.Tx{}).Update("/z", 7, doc{9}).Put("/c", doc{9}),
	} {
		if _, err := s.Commit(ctx, tx); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Get(ctx, "/c", nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a refused transaction wrote: %v", err)
	}
	if _, err := s.Commit(ctx, (&store.Tx{}).Put("/bad", func() {})); err == nil || errors.Is(err, store.ErrConflict) {
		t.Errorf("what cannot be encoded: %v", err)
	}
	if _, err := s.Commit(ctx, (&store.Tx{}).Put("/big", make([]byte, 3<<20))); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestListPagesAtOneRevision(t *testing.T) {
	s, _ := storetest.Start(t)
	ctx := t.Context()
	const n = 1203
	for i := 0; i < n; {
		tx := &store.Tx{}
		for range min(100, n-i) {
			tx.Put(fmt.Sprintf("/list/%05d", i), doc{i})
			i++
		}
		if _, err := s.Commit(ctx, tx); err != nil {
			t.Fatal(err)
		}
	}
	last, err := s.Commit(ctx, (&store.Tx{}).Put("/listing", doc{}).Put("/list", doc{}))
	if err != nil {
		t.Fatal(err)
	}
	docs, rev, err := s.List(ctx, "/list/")
	if err != nil || len(docs) != n || rev != last {
		t.Fatalf("%d documents at %d, want %d at %d: %v", len(docs), rev, n, last, err)
	}
	for i, d := range docs {
		var v doc
		if err := json.Unmarshal(d.Value, &v); err != nil || v.N != i || d.Rev == 0 {
			t.Fatalf("document %d is %s at revision %d: %v", i, d.Value, d.Rev, err)
		}
	}
}

func next(t *testing.T, ch <-chan store.Event) store.Event {
	t.Helper()
	select {
	case e, ok := <-ch:
		if !ok {
			t.Fatal("the watch ended")
		}
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("no event")
	}
	return store.Event{}
}

func put(t *testing.T, s store.Store, key string, n int) int64 {
	t.Helper()
	rev, err := s.Commit(t.Context(), (&store.Tx{}).Put(key, doc{n}))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func TestWatch(t *testing.T) {
	s, _ := storetest.Start(t)
	rev := put(t, s, "/w/before", 1)
	ctx, cancel := context.WithCancel(t.Context())
	ch := s.Watch(ctx, "/w/", rev)
	put(t, s, "/other", 1)
	put(t, s, "/w/a", 2)
	if e := next(t, ch); e.Key != "/w/a" || e.Deleted || string(e.Value) != `{"N":2}` {
		t.Errorf("event %+v", e)
	}
	if _, err := s.Commit(ctx, (&store.Tx{}).Delete("/w/before")); err != nil {
		t.Fatal(err)
	}
	if e := next(t, ch); e.Key != "/w/before" || !e.Deleted || string(e.Value) != `{"N":1}` {
		t.Errorf("event %+v", e)
	}
	cancel()
	for range ch { // closed, or this test hangs
	}
}

func TestWatchSurvivesCompaction(t *testing.T) {
	s, server := storetest.Start(t)
	rev := put(t, s, "/w/old", 1)
	put(t, s, "/w/changed", 2)
	last := put(t, s, "/w/changed", 3)
	if err := compact(t, server, last); err != nil {
		t.Fatal(err)
	}
	ch := s.Watch(t.Context(), "/w/", rev)
	seen := map[string]string{}
	for len(seen) < 2 {
		e := next(t, ch)
		seen[e.Key] = string(e.Value)
	}
	if seen["/w/old"] != `{"N":1}` || seen["/w/changed"] != `{"N":3}` {
		t.Errorf("sent again: %v", seen)
	}
	put(t, s, "/w/new", 4)
	if e := next(t, ch); e.Key != "/w/new" {
		t.Errorf("after it: %+v", e)
	}
}

func TestOpenSaysThatNobodyAnswers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := store.Open(ctx, []string{"unix://" + t.TempDir() + "/none"}); err == nil {
		t.Fatal("no error")
	}
}

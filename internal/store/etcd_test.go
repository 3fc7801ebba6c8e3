package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

func TestCommitIsAllOrNothing(t *testing.T) {
	s, ctx := storetest.New(t), t.Context()
	rev, err := s.Commit(ctx, new(store.Tx).Create("/a", 1).Create("/b", 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, new(store.Tx).Create("/a", 9).Put("/c", 9)); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("a second create: %v", err)
	}
	if _, err := s.Get(ctx, "/c", nil); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a failed transaction wrote: %v", err)
	}
	var v int
	got, err := s.Get(ctx, "/b", &v)
	if err != nil || v != 2 || got != rev {
		t.Fatalf("got %d at %d: %v", v, got, err)
	}
	if _, err := s.Commit(ctx, new(store.Tx).Update("/a", rev, 3).Delete("/b")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, new(store.Tx).Update("/a", rev, 4)); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("an update of an old revision: %v", err)
	}
	if _, err := s.Commit(ctx, new(store.Tx).Put("/x", make(chan int))); err == nil {
		t.Fatal("what cannot be encoded was committed")
	}
}

func TestListPages(t *testing.T) {
	s, ctx := storetest.New(t), t.Context()
	const n = 1203
	for i := 0; i < n; i += 100 {
		tx := new(store.Tx)
		for j := i; j < min(i+100, n); j++ {
			tx.Put(fmt.Sprintf("/l/%05d", j), j)
		}
		if _, err := s.Commit(ctx, tx); err != nil {
			t.Fatal(err)
		}
	}
	docs, rev, err := s.List(ctx, "/l/")
	if err != nil || len(docs) != n || rev == 0 {
		t.Fatalf("%d documents at %d: %v", len(docs), rev, err)
	}
	for i, d := range docs {
		if d.Key != fmt.Sprintf("/l/%05d", i) {
			t.Fatalf("document %d is %s", i, d.Key)
		}
	}
}

func TestWatchGoesOnAfterCompaction(t *testing.T) {
	s := storetest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, err := s.Commit(ctx, new(store.Tx).Put("/w/a", 1))
	if err != nil {
		t.Fatal(err)
	}
	events := s.Watch(ctx, "/w/", first)
	if _, err := s.Commit(ctx, new(store.Tx).Put("/w/a", 2).Put("/other", 1)); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Key != "/w/a" || string(e.Value) != "2" || e.Deleted {
		t.Fatalf("got %+v", e)
	}
	last, err := s.Commit(ctx, new(store.Tx).Delete("/w/a").Put("/w/b", 3))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]store.Event{}
	for len(seen) < 2 {
		e := <-events
		seen[e.Key] = e
	}
	if e := seen["/w/a"]; !e.Deleted || string(e.Value) != "2" {
		t.Fatalf("deletion: %+v", e)
	}
	if err := store.Compact(ctx, s, last); err != nil {
		t.Fatal(err)
	}
	if e := <-s.Watch(ctx, "/w/", first); e.Key != "/w/b" || string(e.Value) != "3" {
		t.Fatalf("after compaction: %+v", e)
	}
}

package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// calls counts what a reconciler was called with.
type calls struct {
	mu   sync.Mutex
	n    map[string]int
	more chan struct{}
}

func newCalls() *calls { return &calls{n: map[string]int{}, more: make(chan struct{}, 1)} }

func (c *calls) add(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[key]++
	select {
	case c.more <- struct{}{}:
	default:
	}
	return c.n[key]
}

func (c *calls) wait(t *testing.T, key string, atLeast int) {
	t.Helper()
	end := time.After(20 * time.Second)
	for {
		c.mu.Lock()
		n := c.n[key]
		c.mu.Unlock()
		if n >= atLeast {
			return
		}
		select {
		case <-c.more:
		case <-end:
			t.Fatalf("%s: called %d times, want %d", key, n, atLeast)
		}
	}
}

func start(t *testing.T, s store.Store, rs ...reconcile.Reconciler) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reconcile.Run(ctx, s, slog.New(slog.DiscardHandler), rs) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func write(t *testing.T, s store.Store, key string) {
	t.Helper()
	if _, err := s.Commit(t.Context(), (&store.Tx{}).Put(key, time.Now())); err != nil {
		t.Fatal(err)
	}
}

func TestStartChangeAndDelete(t *testing.T) {
	s := storetest.New(t)
	write(t, s, "/a/there")
	c := newCalls()
	start(t, s, reconcile.Reconciler{
		Name:    "a",
		Watches: []reconcile.Watch{{Prefix: "/a/"}, {Prefix: "/b/", Map: func(_ context.Context, e store.Event) []string { return []string{"from" + e.Key} }}},
		Reconcile: func(_ context.Context, key string) (reconcile.Result, error) {
			c.add(key)
			return reconcile.Result{}, nil
		},
	})
	c.wait(t, "/a/there", 1)
	write(t, s, "/a/there")
	c.wait(t, "/a/there", 2)
	write(t, s, "/b/x")
	c.wait(t, "from/b/x", 1)
	if _, err := s.Commit(t.Context(), (&store.Tx{}).Delete("/a/there")); err != nil {
		t.Fatal(err)
	}
	c.wait(t, "/a/there", 3)
}

func TestErrorsPanicsAndAfter(t *testing.T) {
	s := storetest.New(t)
	for _, k := range []string{"/a/error", "/a/panic", "/a/after"} {
		write(t, s, k)
	}
	c := newCalls()
	start(t, s, reconcile.Reconciler{
		Name: "a", Watches: []reconcile.Watch{{Prefix: "/a/"}},
		Reconcile: func(_ context.Context, key string) (reconcile.Result, error) {
			n := c.add(key)
			switch {
			case n > 2:
			case key == "/a/error":
				return reconcile.Result{}, errors.New("no")
			case key == "/a/panic":
				panic("no")
			case key == "/a/after":
				return reconcile.Result{After: time.Millisecond}, nil
			}
			return reconcile.Result{}, nil
		},
	})
	for _, k := range []string{"/a/error", "/a/panic", "/a/after"} {
		c.wait(t, k, 3)
	}
}

// TestAlways wants a key to be worked on again and again in a store that is empty.
func TestAlways(t *testing.T) {
	c := newCalls()
	start(t, storetest.New(t), reconcile.Reconciler{
		Name: "a", Watches: []reconcile.Watch{{Prefix: "/a/"}}, Always: []string{"one"},
		Reconcile: func(_ context.Context, key string) (reconcile.Result, error) {
			c.add(key)
			return reconcile.Result{After: time.Millisecond}, nil
		},
	})
	c.wait(t, "one", 3)
}

func TestResyncAndPanickingMap(t *testing.T) {
	s := storetest.New(t)
	write(t, s, "/a/bad")
	write(t, s, "/a/good")
	c := newCalls()
	start(t, s, reconcile.Reconciler{
		Name: "a", Resync: 20 * time.Millisecond,
		Watches: []reconcile.Watch{{Prefix: "/a/", Map: func(_ context.Context, e store.Event) []string {
			if e.Key == "/a/bad" {
				panic("bad document")
			}
			return []string{e.Key}
		}}},
		Reconcile: func(_ context.Context, key string) (reconcile.Result, error) {
			c.add(key)
			return reconcile.Result{}, nil
		},
	})
	c.wait(t, "/a/good", 4)
}

func TestListsThatAreWrong(t *testing.T) {
	ok := func(context.Context, string) (reconcile.Result, error) { return reconcile.Result{}, nil }
	for name, rs := range map[string][]reconcile.Reconciler{
		"no name":      {{Reconcile: ok}},
		"no function":  {{Name: "a"}},
		"twice":        {{Name: "a", Reconcile: ok}, {Name: "a", Reconcile: ok}},
		"empty prefix": {{Name: "a", Reconcile: ok, Watches: []reconcile.Watch{{}}}},
	} {
		if err := reconcile.Run(t.Context(), nil, slog.New(slog.DiscardHandler), rs); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestGraph(t *testing.T) {
	got := reconcile.Graph([]reconcile.Reconciler{
		{Name: "network", Watches: []reconcile.Watch{{Prefix: "/res/"}, {Prefix: "/res/"}, {Prefix: "/a/"}}, Writes: []string{"/spec/"}},
		{Name: "a", Watches: []reconcile.Watch{{Prefix: "/x/"}}},
	})
	want := "a        reads /x/\nnetwork  reads /a/, /res/  writes /spec/\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if strings.Contains(got, "\t") {
		t.Error("tabs")
	}
}

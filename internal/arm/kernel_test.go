package arm_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

const (
	group = "/subscriptions/" + sub + "/resourceGroups/rg"
	nets  = group + "/providers/Toy.Net/nets/"
	nics  = group + "/providers/Toy.Net/nics/"
)

func at(props map[string]any) map[string]any {
	return map[string]any{"location": "eastus", "properties": props}
}

func write(t *testing.T, srv *arm.Server, id string, props map[string]any) *arm.Resource {
	t.Helper()
	r, err := srv.Write(t.Context(), arm.System, id, at(props), "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// until waits for a condition on a resource; r is nil when it is gone.
func until(t *testing.T, srv *arm.Server, id string, ok func(r *arm.Resource) bool) *arm.Resource {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for {
		r, err := srv.Resources().Get(t.Context(), id)
		if arm.IsNotFound(err) {
			r, err = nil, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if ok(r) {
			return r
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s did not come to what is expected: %+v", id, r)
		}
	}
}

func succeeded(r *arm.Resource) bool { return r != nil && r.State == arm.StateSucceeded }
func gone(r *arm.Resource) bool      { return r == nil }

func operationsOf(t *testing.T, s store.Store) int {
	t.Helper()
	docs, _, err := s.List(t.Context(), "/op/")
	if err != nil {
		t.Fatal(err)
	}
	return len(docs)
}

func TestSystemWriteIsIdempotent(t *testing.T) {
	srv, s, _ := start(t)
	write(t, srv, group, nil)
	if _, err := srv.Write(t.Context(), arm.System, nets+"a", at(map[string]any{"steps": 1}), group+"/owner"); err != nil {
		t.Fatal(err)
	}
	first := until(t, srv, nets+"a", succeeded)
	if first.ManagedBy != group+"/owner" {
		t.Errorf("managedBy %q", first.ManagedBy)
	}
	ops := operationsOf(t, s)
	for range 3 {
		r, err := srv.Write(t.Context(), arm.System, nets+"a", at(map[string]any{"steps": 1}), group+"/owner")
		if err != nil || r.Rev != first.Rev {
			t.Fatalf("written again at %d, was %d: %v", r.Rev, first.Rev, err)
		}
	}
	if n := operationsOf(t, s); n != ops {
		t.Errorf("%d operations, want %d", n, ops)
	}
	// Somebody else's change is undone by the same write.
	if _, err := srv.Write(t.Context(), arm.Principal{ObjectID: "admin"}, nets+"a", at(map[string]any{"changed": true}), ""); err != nil {
		t.Fatal(err)
	}
	until(t, srv, nets+"a", succeeded)
	if _, err := srv.Write(t.Context(), arm.System, nets+"a", at(map[string]any{"steps": 1}), group+"/owner"); err != nil {
		t.Fatal(err)
	}
	if r := until(t, srv, nets+"a", succeeded); r.Properties()["changed"] != nil {
		t.Errorf("still changed: %v", r.Body)
	}
	if _, err := srv.Write(t.Context(), arm.Principal{ObjectID: "reader"}, nets+"a", at(nil), ""); err == nil {
		t.Error("a reader may write")
	}
	for _, bad := range []string{"/subscriptions", group + "/providers/Toy.Net/nets", "nonsense", group + "/providers/Not.There/x/y"} {
		if _, err := srv.Write(t.Context(), arm.System, bad, at(nil), ""); err == nil {
			t.Errorf("%s: written", bad)
		}
	}
}

// TestFailedStays has a failed resource's work come to its end later, without an operation: only a write makes it Succeeded.
func TestFailedStays(t *testing.T) {
	srv, s, _ := start(t)
	write(t, srv, group, nil)
	write(t, srv, nets+"a", map[string]any{"fail": true})
	r := until(t, srv, nets+"a", func(r *arm.Resource) bool { return r.State == arm.StateFailed })
	delete(r.Properties(), "fail")
	tx := &store.Tx{}
	arm.Put(tx, r)
	if _, err := s.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	r = until(t, srv, nets+"a", func(r *arm.Resource) bool { return r.Properties()["address"] != nil })
	if r.State != arm.StateFailed || r.Error == nil {
		t.Errorf("%s, error %v: want it to be Failed with its cause until it is written again", r.State, r.Error)
	}
	write(t, srv, nets+"a", map[string]any{"steps": 1})
	if r := until(t, srv, nets+"a", succeeded); r.Error != nil {
		t.Errorf("succeeded with %v", r.Error)
	}
}

func TestSystemWriteTriesAgain(t *testing.T) {
	srv, _, _ := start(t)
	now := time.Now()
	var mu sync.Mutex
	srv.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	write(t, srv, group, nil)
	write(t, srv, nets+"a", map[string]any{"fail": true})
	failed := until(t, srv, nets+"a", func(r *arm.Resource) bool { return r.State == arm.StateFailed })
	if r := write(t, srv, nets+"a", map[string]any{"fail": true}); r.Rev != failed.Rev {
		t.Errorf("tried again at once: %+v", r)
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	if r := write(t, srv, nets+"a", map[string]any{"fail": true}); r.Operation == "" {
		t.Errorf("not tried again: %+v", r)
	}
}

func TestSystemWriteJoinsTheOperation(t *testing.T) {
	srv, s, _ := start(t)
	write(t, srv, group, nil)
	r := write(t, srv, nets+"a", map[string]any{"steps": 100000})
	again := write(t, srv, nets+"a", map[string]any{"steps": 0})
	if again.Operation != r.Operation || again.State != arm.StateCreating {
		t.Errorf("operation %s, was %s; state %s", again.Operation, r.Operation, again.State)
	}
	until(t, srv, nets+"a", succeeded)
	if n := operationsOf(t, s); n != 1 {
		t.Errorf("%d operations, want 1", n)
	}
}

func TestSystemDelete(t *testing.T) {
	srv, _, _ := start(t)
	write(t, srv, group, nil)
	if gone, err := srv.Delete(t.Context(), arm.System, nets+"none"); err != nil || !gone {
		t.Errorf("what is not there: %v, %v", gone, err)
	}
	write(t, srv, nets+"a", map[string]any{"failRemove": true})
	until(t, srv, nets+"a", succeeded)
	if gone, err := srv.Delete(t.Context(), arm.System, nets+"a"); err != nil || gone {
		t.Errorf("begun: %v, %v", gone, err)
	}
	until(t, srv, nets+"a", func(r *arm.Resource) bool { return r.State == arm.StateFailed })
	var e *arm.Error
	if _, err := srv.Delete(t.Context(), arm.System, nets+"a"); !errors.As(err, &e) || e.Code != "Stuck" {
		t.Errorf("the earlier failure: %v", err)
	}
}

func TestGroupDeleteOrder(t *testing.T) {
	srv, _, w := start(t)
	write(t, srv, group, nil)
	for _, n := range []string{"n1", "n2"} {
		write(t, srv, nets+n, nil)
		write(t, srv, nics+"c"+n, map[string]any{"uses": nets + n})
		until(t, srv, nets+n, succeeded)
		until(t, srv, nics+"c"+n, succeeded)
	}
	if _, err := srv.Delete(t.Context(), arm.System, group); err != nil {
		t.Fatal(err)
	}
	until(t, srv, group, gone)
	var removed []string
	for _, e := range w.list() {
		if name, ok := strings.CutPrefix(e, "remove "); ok {
			removed = append(removed, name)
		}
	}
	if len(removed) != 4 {
		t.Fatalf("removed %v", removed)
	}
	slices.Sort(removed[:2])
	slices.Sort(removed[2:])
	if want := []string{"cn1", "cn2", "n1", "n2"}; !slices.Equal(removed, want) {
		t.Errorf("removed %v, want %v", removed, want)
	}
}

// TestRestart ends the engine in the middle of an operation, and starts another one over the same store.
func TestRestart(t *testing.T) {
	s := storetest.New(t)
	w := &world{crash: map[string]int{"a": 1}}
	srv := newServer(t, s, w)
	stop := engine(t, s, srv)
	write(t, srv, group, nil)
	r := write(t, srv, nets+"a", map[string]any{"steps": 40})
	until(t, srv, nets+"a", func(r *arm.Resource) bool { return r.Private["steps"] != nil })
	stop()
	half, err := srv.Resources().Get(t.Context(), nets+"a")
	if err != nil || half.State != arm.StateCreating || half.Operation != r.Operation {
		t.Fatalf("in the middle: %+v, %v", half, err)
	}
	next := newServer(t, s, w)
	engine(t, s, next)
	until(t, next, nets+"a", succeeded)
	var op arm.Operation
	if _, err := s.Get(t.Context(), r.Operation, &op); err != nil || op.Status != arm.Succeeded || op.Percent != 100 {
		t.Errorf("operation %+v: %v", op, err)
	}
	seen := map[string]bool{}
	for _, e := range w.list() {
		if seen[e] && !strings.HasPrefix(e, "step a") {
			t.Errorf("%s twice", e)
		}
		seen[e] = true
	}
	if len(seen) != 40 {
		t.Errorf("%d steps, want 40", len(seen))
	}
}

func TestRestartOfADelete(t *testing.T) {
	s := storetest.New(t)
	w := &world{crash: map[string]int{}}
	srv := newServer(t, s, w)
	write(t, srv, group, nil)
	write(t, srv, nets+"a", nil)
	write(t, srv, nets+"a/parts/p", nil)
	if gone, err := srv.Delete(t.Context(), arm.System, group); err != nil || gone { // nobody works on it yet
		t.Fatalf("%v, %v", gone, err)
	}
	engine(t, s, newServer(t, s, w))
	until(t, srv, group, gone)
	if docs, _, err := s.List(t.Context(), "/res/"); err != nil || len(docs) > 0 {
		t.Errorf("left: %v, %v", docs, err)
	}
}

// TestCreateDuringDelete lets children be made while their parent goes: none may be left.
func TestCreateDuringDelete(t *testing.T) {
	srv, s, _ := start(t)
	write(t, srv, group, nil)
	write(t, srv, nets+"a", nil)
	until(t, srv, nets+"a", succeeded)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				_, _ = srv.Write(t.Context(), arm.Principal{ObjectID: "admin"}, nets+"a/parts/p"+string(rune('a'+i)), map[string]any{}, "")
			}
		})
	}
	if _, err := srv.Delete(t.Context(), arm.System, nets+"a"); err != nil {
		t.Error(err)
	}
	wg.Wait()
	until(t, srv, nets+"a", gone)
	docs, _, err := s.List(t.Context(), strings.ToLower("/res"+nets))
	if err != nil || len(docs) > 0 {
		t.Errorf("orphans: %d, %v", len(docs), err)
	}
}

func TestOneOfManyCreates(t *testing.T) {
	srv, _, _ := start(t)
	write(t, srv, group, nil)
	h := srv.Handler()
	var mu sync.Mutex
	codes := map[int]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := httptest.NewRequest("PUT", group+"/providers/Toy.Net/zones/z?api-version=1", strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer admin")
			r.Header.Set("If-None-Match", "*")
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			mu.Lock()
			defer mu.Unlock()
			codes[rec.Code]++
		})
	}
	wg.Wait()
	if codes[201] != 1 || codes[412] != 7 {
		t.Errorf("%v", codes)
	}
}

func TestLargeBodies(t *testing.T) {
	srv, _, _ := start(t)
	write(t, srv, group, nil)
	for name, size := range map[string]int{"larger than a request may be": 5 << 20, "larger than the store takes": 2 << 20} {
		r := httptest.NewRequest("PUT", group+"/providers/Toy.Net/zones/z?api-version=1", bytes.NewReader([]byte(`{"properties":{"x":"`+strings.Repeat("x", size)+`"}}`)))
		r.Header.Set("Authorization", "Bearer admin")
		rec := httptest.NewRecorder()
		srv.Handler().ServeHTTP(rec, r)
		if rec.Code != 413 || !strings.Contains(rec.Body.String(), `"RequestEntityTooLarge"`) {
			t.Errorf("%s: %d %.200s", name, rec.Code, rec.Body)
		}
	}
}

func TestSweep(t *testing.T) {
	w := &world{}
	s := storetest.New(t)
	srv := newServer(t, s, w)
	now := time.Now()
	srv.Now = func() time.Time { return now }
	sweep := srv.Reconcilers()[len(srv.Reconcilers())-1]
	put := func(op arm.Operation) string {
		if _, err := s.Commit(t.Context(), (&store.Tx{}).Put(op.Key(), op)); err != nil {
			t.Fatal(err)
		}
		return op.Key()
	}
	old := put(arm.Operation{ID: "old", Status: arm.Succeeded, End: now.Add(-25 * time.Hour)})
	young := put(arm.Operation{ID: "young", Status: arm.Failed, End: now.Add(-23 * time.Hour)})
	open := put(arm.Operation{ID: "open", Status: arm.InProgress, Start: now.Add(-99 * time.Hour)})
	for key, want := range map[string]struct {
		after time.Duration
		gone  bool
	}{old: {0, true}, young: {time.Hour, false}, open: {0, false}} {
		res, err := sweep.Reconcile(t.Context(), key)
		if err != nil || res.After != want.after {
			t.Errorf("%s: %v, %v", key, res, err)
		}
		if _, err := s.Get(t.Context(), key, nil); errors.Is(err, store.ErrNotFound) != want.gone {
			t.Errorf("%s: gone is not %v: %v", key, want.gone, err)
		}
	}
}

func TestCollapseSlashes(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /a/{name}", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.PathValue("name"))) })
	for path, want := range map[string]string{"//a///b": "b", "/a/b%2Fc": "b/c", "/a//b%2F%2Fc": "b//c"} {
		rec := httptest.NewRecorder()
		arm.CollapseSlashes(mux).ServeHTTP(rec, httptest.NewRequest("PUT", path, nil))
		if rec.Code != 200 || rec.Body.String() != want {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

func TestOptionsAndTypesThatAreWrong(t *testing.T) {
	s := storetest.New(t)
	ok := arm.Options{Store: s, Authenticator: people{}, Authorizer: people{}, BaseURL: "https://x"}
	serve := func(context.Context, *arm.RouteRequest) (*arm.Response, error) { return nil, nil }
	for name, change := range map[string]func(o *arm.Options){
		"no store":      func(o *arm.Options) { o.Store = nil },
		"no url":        func(o *arm.Options) { o.BaseURL = "" },
		"no type name":  func(o *arm.Options) { o.Types = []*arm.Type{{Name: "x"}} },
		"type twice":    func(o *arm.Options) { o.Types = []*arm.Type{{Name: "A/b"}, {Name: "a/B"}} },
		"action's case": func(o *arm.Options) { o.Types = []*arm.Type{{Name: "A/b", Actions: map[string]arm.Action{"X": {}}}} },
		"no serve":      func(o *arm.Options) { o.Routes = []arm.Route{{Method: "GET", Pattern: "/x"}} },
		"rest in midst": func(o *arm.Options) { o.Routes = []arm.Route{{Method: "GET", Pattern: "/x/{y...}", Serve: serve}} },
	} {
		o := ok
		change(&o)
		if _, err := arm.NewServer(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := arm.NewServer(ok); err != nil {
		t.Error(err)
	}
}

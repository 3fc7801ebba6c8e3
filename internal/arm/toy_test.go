package arm_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

const sub = "11111111-2222-3333-4444-555555555555"

// people is Authenticator and Authorizer: the token is the name. admin may do all,
// reader may read, one may do all in the resource group one.
type people struct{}

func (people) Authenticate(r *http.Request) (arm.Principal, error) {
	name := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch name {
	case "admin", "reader", "one", "nobody":
		return arm.Principal{ObjectID: name}, nil
	case "panic":
		panic("authenticator")
	}
	return arm.Principal{}, arm.Errorf(401, "InvalidAuthenticationToken", "The access token is missing or invalid.")
}

func (people) Authorize(_ context.Context, p arm.Principal, action, scope string) error {
	scope = strings.ToLower(scope) + "/"
	switch {
	case p.ObjectID == "admin", p.ObjectID == "reader" && strings.HasSuffix(action, "/read"):
		return nil
	case p.ObjectID == "one" && strings.HasPrefix(scope, "/subscriptions/"+sub+"/resourcegroups/one/"):
		return nil
	}
	return arm.Errorf(403, "AuthorizationFailed", "The client '%s' does not have authorization to perform action '%s' over scope '%s'.", p.ObjectID, action, scope)
}

// world is what toy reconcilers did.
type world struct {
	mu     sync.Mutex
	events []string
	// crash, when set, makes the next step of a thing end in an error after its side effect.
	crash map[string]int
}

func (w *world) log(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

func (w *world) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.events...)
}

func number(m map[string]any, key string) float64 { n, _ := m[key].(float64); return n }

// thing is an async type whose properties say how it behaves:
// steps (reconciles until it is done), errors (that many first), fail, failRemove, uses (an id: that one cannot be deleted),
// gate (a key that must exist in the store).
func (w *world) thing(name string, deleteAfter ...string) *arm.Type {
	return &arm.Type{
		Name: name, Tracked: true, Async: true, APIVersions: []string{"2024-01-01"}, DeleteAfter: deleteAfter,
		Admit: func(ctx context.Context, wr *arm.Write) error {
			p := wr.New.Properties()
			if wr.Old != nil {
				p["id"] = wr.Old.Properties()["id"]
			} else {
				p["id"] = "made"
			}
			if number(p, "steps") < 0 {
				wr.Fail("InvalidSteps", "properties.steps", "steps is negative.")
			}
			if p["color"] == "beige" {
				wr.Fail("InvalidColor", "properties.color", "beige is no color.")
			}
			if user, _ := p["uses"].(string); user != "" {
				return wr.Allowed(ctx, "Toy/things/join/action", user)
			}
			return nil
		},
		Release: func(ctx context.Context, wr *arm.Write) error {
			all, err := wr.Read.Below(ctx, "/", "")
			if err != nil {
				return err
			}
			for _, r := range all {
				if used, _ := r.Properties()["uses"].(string); resourceid.MustParse(used).Key() == wr.ID.Key() {
					return arm.Conflict("InUse", "'%s' is used by '%s'.", wr.ID, r.ID)
				}
			}
			return nil
		},
		Reconcile: func(_ context.Context, r *arm.Resource) (arm.Progress, error) {
			w.mu.Lock()
			crash := w.crash[r.Name] > 0
			if crash {
				w.crash[r.Name]--
			}
			w.mu.Unlock()
			p := r.Properties()
			if r.Private == nil {
				r.Private = map[string]any{}
			}
			done := number(r.Private, "steps")
			switch {
			case crash:
				return arm.Progress{}, errors.New("crashed between steps")
			case p["fail"] == true:
				return arm.Progress{}, arm.Terminal(arm.Conflict("QuotaExceeded", "No more of these."))
			case number(r.Private, "errors") < number(p, "errors"):
				r.Private["errors"] = number(r.Private, "errors") + 1
				return arm.Progress{}, errors.New("not this time")
			case done < number(p, "steps"):
				w.log("step %s %d", r.Name, int(done)+1)
				r.Private["steps"] = done + 1
				return arm.Progress{Percent: 100 * done / number(p, "steps"), Note: "steps", After: 20 * time.Millisecond}, nil
			}
			p["address"] = "10.0.0.4"
			return arm.Progress{Done: true}, nil
		},
		Remove: func(_ context.Context, r *arm.Resource) (arm.Progress, error) {
			if r.Properties()["failRemove"] == true {
				return arm.Progress{}, arm.Terminal(arm.Conflict("Stuck", "It does not go."))
			}
			w.log("remove %s", r.Name)
			return arm.Progress{Done: true}, nil
		},
		View: func(_ context.Context, r *arm.Resource, doc map[string]any) error {
			doc["viewed"] = true
			return nil
		},
		Actions: map[string]arm.Action{
			"listkeys": {Permission: "listKeys/action", Run: func(_ context.Context, a *arm.ActionRequest) (any, error) {
				return map[string]any{"keys": []string{a.Resource.Name}, "asked": a.Body["asked"], "query": a.Query["q"]}, nil
			}},
			"nothing": {Run: func(context.Context, *arm.ActionRequest) (any, error) { return nil, nil }},
			"stop": {Permission: "stop/action", Async: true, Run: func(_ context.Context, a *arm.ActionRequest) (any, error) {
				a.Resource.Properties()["power"] = "Stopped"
				return map[string]any{"stopped": true}, nil
			}},
		},
	}
}

func (w *world) types() []*arm.Type {
	return []*arm.Type{
		{Name: "Microsoft.Resources/resourceGroups", Async: true, Tracked: true},
		w.thing("Toy.Net/nets", "Toy.Net/nics"), w.thing("Toy.Net/nics"),
		{Name: "Toy.Net/nets/parts"},
		{Name: "Toy.Net/zones", Tracked: true, Global: true},
		{Name: "Toy.Auth/grants", Extension: true},
		{Name: "Toy.Net/keys", Remove: func(_ context.Context, r *arm.Resource) (arm.Progress, error) {
			switch tries := number(r.Private, "tries"); {
			case r.Properties()["stuck"] == true:
				return arm.Progress{}, arm.Terminal(arm.Conflict("Stuck", "It does not go."))
			case tries < 2:
				r.Private = map[string]any{"tries": tries + 1}
				return arm.Progress{After: time.Millisecond}, nil
			}
			return arm.Progress{Done: true}, nil
		}},
	}
}

func routes() []arm.Route {
	return []arm.Route{
		{Method: "GET", Pattern: "/subscriptions/{subscription}", Serve: func(_ context.Context, r *arm.RouteRequest) (*arm.Response, error) {
			return &arm.Response{Body: map[string]any{"subscriptionId": r.Params["subscription"]}}, nil
		}},
		{Method: "GET", Pattern: "/{scope...}/providers/Toy.Auth/definitions", Permission: "Toy.Auth/definitions/read", Serve: func(_ context.Context, r *arm.RouteRequest) (*arm.Response, error) {
			return &arm.Response{Body: map[string]any{"scope": r.Params["scope"]}}, nil
		}},
		{Method: "POST", Pattern: "/subscriptions/{subscription}/providers/{namespace}/register", Permission: "{namespace}/register/action", Serve: func(_ context.Context, r *arm.RouteRequest) (*arm.Response, error) {
			return &arm.Response{Status: 200, Body: map[string]any{"namespace": r.Params["namespace"]}}, nil
		}},
		{Method: "GET", Pattern: "/panic", Serve: func(context.Context, *arm.RouteRequest) (*arm.Response, error) { panic("route") }},
		{Method: "GET", Pattern: "/unknown", Serve: func(context.Context, *arm.RouteRequest) (*arm.Response, error) {
			return nil, errors.New("secret detail")
		}},
	}
}

func newServer(t testing.TB, s store.Store, w *world) *arm.Server {
	t.Helper()
	srv, err := arm.NewServer(arm.Options{
		Store: s, Types: w.types(), Routes: routes(), Authenticator: people{}, Authorizer: people{}, BaseURL: "https://arm.test:8443/", TenantID: "tenant",
		Locations:       []string{"eastus", "westeurope"},
		HasSubscription: func(_ context.Context, id string) (bool, error) { return strings.EqualFold(id, sub), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

// engine runs the server's reconcilers until stop, or the test's end.
func engine(t testing.TB, s store.Store, srv *arm.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reconcile.Run(ctx, s, slog.New(slog.DiscardHandler), srv.Reconcilers()) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func start(t testing.TB) (*arm.Server, store.Store, *world) {
	t.Helper()
	w := &world{crash: map[string]int{}}
	s := storetest.New(t)
	srv := newServer(t, s, w)
	engine(t, s, srv)
	return srv, s, w
}

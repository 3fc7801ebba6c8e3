package deployments

import (
	"context"
	"strings"
	"sync"

	"cloister.dev/cloister/internal/store"
)

// waiting knows which deployments look at which resources now. It is in memory only: after a start, each
// deployment that runs is reconciled, and says again what it waits for.
type waiting struct {
	mu sync.Mutex
	on map[string]map[string]bool // deployments by resource, both ids in lower case
}

func (w *waiting) add(resource, deployment string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := strings.ToLower(resource)
	if w.on == nil {
		w.on = map[string]map[string]bool{}
	}
	if w.on[key] == nil {
		w.on[key] = map[string]bool{}
	}
	w.on[key][strings.ToLower(deployment)] = true
}

// done forgets what a deployment waited for.
func (w *waiting) done(resource, deployment string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := strings.ToLower(resource)
	delete(w.on[key], strings.ToLower(deployment))
	if len(w.on[key]) == 0 {
		delete(w.on, key)
	}
}

// drop forgets a deployment.
func (w *waiting) drop(deployment string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for resource, who := range w.on {
		if delete(who, strings.ToLower(deployment)); len(who) == 0 {
			delete(w.on, resource)
		}
	}
}

// woken maps a change of a resource to the deployments that wait for it.
func (w *waiting) woken(_ context.Context, e store.Event) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for id := range w.on[strings.TrimPrefix(e.Key, "/res")] {
		out = append(out, id)
	}
	return out
}

package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/provider/privatedns"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// host is the side of the played machine that scenarios see, below /machine/: they hold it, break and mend it,
// and look at what stands in the store beside the resources.
//
//	POST /machine/hold, /machine/break, /machine/mend
//	GET  /machine/names    what the resolver of each network answers: {"<network>": {"<name>": ["<address>"]}}, and "public"
//	GET  /machine/left     the keys in the store that were not there at the beginning: {"keys": []}
type host struct {
	*machine
	before map[string]bool
}

func newHost(t *testing.T, m *machine) host {
	t.Helper()
	docs, _, err := m.store.List(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	h := host{m, map[string]bool{}}
	for _, d := range docs {
		h.before[d.Key] = true
	}
	return h
}

// beside answers for the machine what is asked of it, and has rest answer the others.
func (h host) beside(rest http.Handler) http.Handler {
	mux := http.NewServeMux()
	for path, mood := range map[string]int32{"hold": held, "break": broken, "mend": well} {
		mux.HandleFunc("POST /machine/"+path, func(w http.ResponseWriter, r *http.Request) {
			h.tell(r.Context(), h.become(r.Context(), mood))
			w.WriteHeader(http.StatusNoContent)
		})
	}
	for path, look := range map[string]func(context.Context) (any, error){"names": h.names, "left": h.left} {
		mux.HandleFunc("GET /machine/"+path, func(w http.ResponseWriter, r *http.Request) {
			v, err := look(r.Context())
			h.tell(r.Context(), err)
			h.tell(r.Context(), json.NewEncoder(w).Encode(v))
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/machine/") {
			mux.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// names is what the real collection of names gives the resolver.
func (h host) names(ctx context.Context) (any, error) {
	zones, links, err := privatedns.Collect(ctx, h.store)
	if err != nil {
		return nil, err
	}
	out := map[string]map[string][]string{"public": {}}
	for network, linked := range links {
		of := map[string][]string{}
		for _, z := range linked {
			for _, r := range zones[z].Records {
				of[r.Name+"."+zones[z].Name] = texts(r)
			}
		}
		out[resourceid.MustParse(network).Name()] = of
	}
	docs, _, err := h.store.List(ctx, spec.PublicNamePrefix)
	for _, d := range docs {
		var p spec.PublicName
		if err := json.Unmarshal(d.Value, &p); err != nil {
			return nil, err
		}
		out["public"][p.Name] = []string{p.Address.String()}
	}
	return out, err
}

func texts(r spec.Record) []string {
	if r.Target != "" {
		return []string{r.Target}
	}
	out := []string{}
	for _, a := range r.Address {
		out = append(out, a.String())
	}
	return out
}

// left lists what was added. Operations that have ended can be asked about for a day.
func (h host) left(ctx context.Context) (any, error) {
	docs, _, err := h.store.List(ctx, "/")
	out := []string{}
	for _, d := range docs {
		if !h.before[d.Key] && !endedOperation(d) {
			out = append(out, d.Key)
		}
	}
	slices.Sort(out)
	return map[string]any{"keys": out}, err
}

func endedOperation(d store.Doc) bool {
	var op struct {
		Status string `json:"status"`
	}
	return strings.HasPrefix(d.Key, "/op/") && json.Unmarshal(d.Value, &op) == nil && op.Status != "InProgress"
}

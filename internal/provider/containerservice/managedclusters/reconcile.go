package managedclusters

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sort"
	"strings"
	"sync"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/containerservice/agentpools"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// reconcile makes what is missing of a cluster and tells how far it is. It works while an operation runs on the
// cluster: what a customer takes away later stays away until the next operation, as in AKS.
func (t *typ) reconcile(ctx context.Context, r *arm.Resource) (arm.Progress, error) {
	if r.Operation == "" {
		return arm.Progress{Done: true}, nil
	}
	c, err := shape.ClusterOf(r)
	if err != nil {
		return arm.Progress{}, err
	}
	address, err := t.formerAddress(ctx, c)
	if err != nil {
		return arm.Progress{}, err
	}
	var notes []string
	for _, stage := range members(c, address) {
		waiting, err := t.ensureAll(ctx, c, stage)
		if err != nil {
			return arm.Progress{}, err
		}
		notes = append(notes, waiting...)
	}
	address, err = t.endpointAddress(ctx, c)
	if err != nil {
		return arm.Progress{}, err
	}
	if !address.IsValid() {
		return arm.Progress{Percent: 5, Note: "the private endpoint's address"}, nil
	}
	if err := t.writeSpecs(ctx, c, address); err != nil {
		return arm.Progress{}, err
	}
	pools, err := t.reconcilePools(ctx, c)
	if err != nil {
		return arm.Progress{}, err
	}
	waiting, err := t.ensureNames(ctx, c, address)
	if err != nil {
		return arm.Progress{}, err
	}
	return t.progress(ctx, c, pools, append(notes, waiting...))
}

// ensureAll makes members at once, and names those whose work is not done.
func (t *typ) ensureAll(ctx context.Context, c shape.Cluster, all []member) ([]string, error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		notes []string
	)
	for _, m := range all {
		wg.Go(func() {
			done, err := t.ensure(ctx, c, m)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			} else if !done {
				notes = append(notes, shortName(m.id))
			}
		})
	}
	wg.Wait()
	sort.Strings(notes)
	return notes, errors.Join(errs...)
}

func shortName(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// ensure writes the member if it is not there, failed, or says something else where we say something.
// It tells whether the member's own work is done.
func (t *typ) ensure(ctx context.Context, c shape.Cluster, m member) (done bool, err error) {
	have, err := t.Read().Get(ctx, m.id)
	switch {
	case arm.IsNotFound(err):
	case err != nil:
		return false, err
	case have.Deleting:
		return false, nil // a watch tells when it is gone
	case have.Operation != "":
		return false, nil
	case have.State != "Failed" && covers(have.Body["properties"], m.body["properties"]):
		return true, nil
	}
	have, err = t.Kernel.Write(ctx, arm.System, m.id, m.body, c.ID)
	if err != nil {
		return false, memberError(m.id, err)
	}
	return have.Operation == "", nil
}

// memberError makes an end of what no repetition mends.
func memberError(id string, err error) error {
	var e *arm.Error
	if !errors.As(err, &e) || e.Status < 400 || e.Status >= 500 {
		return fmt.Errorf("%s: %w", shortName(id), err)
	}
	switch e.Status {
	case http.StatusConflict, http.StatusTooManyRequests, http.StatusPreconditionFailed, http.StatusNotFound:
		return fmt.Errorf("%s: %w", shortName(id), err)
	}
	return arm.Terminal(arm.Errorf(e.Status, e.Code, "The cluster's resource '%s' could not be made: %s", id, e.Message))
}

// covers tells whether have says all that want says; what have says beyond that is its own.
func covers(have, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return len(w) == 0
		}
		for k, v := range w {
			if !covers(h[k], v) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok {
			return len(w) == 0
		}
		if len(h) < len(w) {
			return false
		}
		for i := range w {
			if !covers(h[i], w[i]) {
				return false
			}
		}
		return true
	case string:
		h, ok := have.(string)
		return ok && strings.EqualFold(h, w)
	case nil:
		return true
	}
	return fmt.Sprint(have) == fmt.Sprint(want)
}

// reconcilePools works on every pool of the cluster.
func (t *typ) reconcilePools(ctx context.Context, c shape.Cluster) ([]agentpools.State, error) {
	docs, err := t.Read().Below(ctx, c.ID, shape.PoolType)
	if err != nil {
		return nil, err
	}
	var out []agentpools.State
	for _, doc := range docs {
		s, err := agentpools.Reconcile(ctx, t.Deps, c, shape.PoolOf(doc))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// progress adds up: the API server counts for most of the time, then the nodes.
func (t *typ) progress(ctx context.Context, c shape.Cluster, pools []agentpools.State, notes []string) (arm.Progress, error) {
	var s spec.ClusterStatus
	if _, err := t.Store.Get(ctx, spec.StatusKey(spec.ClusterKey(c.Names.Cluster)), &s); err != nil && !errors.Is(err, store.ErrNotFound) {
		return arm.Progress{}, err
	}
	p := arm.Progress{Done: len(notes) == 0, Percent: 10}
	wanted, ready := 0, 0
	for _, pool := range pools {
		wanted, ready = wanted+pool.Wanted, ready+pool.Ready
		p.Done = p.Done && pool.Done
		if !pool.Done {
			notes = append(notes, pool.Note)
		}
	}
	version := strings.TrimPrefix(s.Version, "v")
	switch {
	case c.Stopped():
		if s.APIReady {
			p.Done, notes = false, append([]string{"the API server's end"}, notes...)
		}
	case !s.APIReady || version != "" && version != c.Props.Str("currentKubernetesVersion"):
		p.Done = false
		notes = append([]string{strings.TrimSpace("the API server " + s.Message)}, notes...)
	case s.CertificateGeneration != c.Generation():
		p.Done, notes = false, append([]string{"the API server's new certificates"}, notes...)
	case !s.AddonsSet:
		p.Done, p.Percent = false, 50
		notes = append([]string{strings.TrimSpace("the add-ons " + s.Message)}, notes...)
	default:
		p.Percent = 60
	}
	if wanted > 0 {
		p.Percent += 39 * float64(ready) / float64(wanted)
	}
	p.Percent = math.Floor(p.Percent)
	if p.Done {
		p.Percent = 100
	}
	p.Note = strings.Join(notes, "; ")
	return p, nil
}

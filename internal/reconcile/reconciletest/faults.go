package reconciletest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cloister.dev/cloister/internal/store"
)

// Kind is how a step fails.
type Kind int

// The kinds of faults.
const (
	Refused   Kind = iota // the step is not done, and fails
	Unheard               // the step is done, and seems to have failed
	Died                  // the process ends before the step
	DiedAfter             // the process ends after the step, before it hears of it
	Kinds                 // how many there are
)

func (k Kind) String() string { return [...]string{"refused", "unheard", "died", "died after"}[k] }

// ErrFault is what a step says that fails.
var ErrFault = errors.New("a fault that the test wants")

// ErrDied is what everything says after the process has ended, and what Runner.Call returns then.
var ErrDied = errors.New("the process ended")

// Faults counts the steps that a process takes: whatever changes the world outside it. It has one of them fail.
type Faults struct {
	At   int // which step fails, from 1; 0: none
	Kind Kind

	mu    sync.Mutex
	steps int
	hit   string
	dead  bool
}

// Steps is how many were taken so far.
func (f *Faults) Steps() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps
}

// Hit is the step that failed; "" while none has.
func (f *Faults) Hit() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

// Step takes one step. Every fake of something that changes the world calls it. A process that has ended takes none.
func (f *Faults) Step(what string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return ErrDied
	}
	f.steps++
	if f.steps != f.At {
		return do()
	}
	f.hit = what
	if f.Kind == Unheard || f.Kind == DiedAfter {
		if err := do(); err != nil {
			return err
		}
	}
	if f.Kind == Died || f.Kind == DiedAfter {
		f.dead = true
		return ErrDied
	}
	return fmt.Errorf("%s: %w", what, ErrFault)
}

// died says whether the process has ended; born begins another one.
func (f *Faults) died() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

func (f *Faults) born() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = false
}

// Store is s with its commits as steps.
func (f *Faults) Store(s store.Store) store.Store { return faulty{s, f} }

type faulty struct {
	store.Store
	faults *Faults
}

func (s faulty) Get(ctx context.Context, key string, v any) (int64, error) {
	if s.faults.died() {
		return 0, ErrDied
	}
	return s.Store.Get(ctx, key, v)
}

func (s faulty) Doc(ctx context.Context, key string) (store.Doc, error) {
	if s.faults.died() {
		return store.Doc{}, ErrDied
	}
	return s.Store.Doc(ctx, key)
}

func (s faulty) List(ctx context.Context, prefix string) ([]store.Doc, int64, error) {
	if s.faults.died() {
		return nil, 0, ErrDied
	}
	return s.Store.List(ctx, prefix)
}

func (s faulty) Commit(ctx context.Context, tx *store.Tx) (rev int64, err error) {
	what := "an empty commit"
	if len(tx.Changes) > 0 {
		what = "commit of " + tx.Changes[0].Key
	}
	err = s.faults.Step(what, func() error {
		rev, err = s.Store.Commit(ctx, tx)
		return err
	})
	if err != nil {
		return 0, err
	}
	return rev, nil
}

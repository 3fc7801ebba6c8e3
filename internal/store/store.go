// Package store keeps Cloister's documents in etcd: reads at one revision,
// transactions over several keys, and watches. Only this package uses etcd.
package store

import (
	"context"
	"encoding/json"
	"errors"
)

// ErrNotFound says that a key has no document.
var ErrNotFound = errors.New("store: not found")

// ErrConflict says that a condition of a transaction did not hold; nothing was written.
var ErrConflict = errors.New("store: conflict")

// ErrTooLarge says that a document or transaction is larger than the store takes; nothing was written.
var ErrTooLarge = errors.New("store: too large")

// Doc is one document as it was read.
type Doc struct {
	Key   string
	Value json.RawMessage
	Rev   int64 // etcd's modification revision: the document's version

	memo *memo // of documents in memory
}

// Event is one change. A deleted document has Deleted set and its last value, if known, in Value.
type Event struct {
	Doc
	Deleted bool
}

// Reader reads documents.
type Reader interface {
	// Get decodes the document at key into v (unless v is nil) and returns its revision; ErrNotFound.
	Get(ctx context.Context, key string, v any) (rev int64, err error)
	// Doc returns the document at key as it is stored; ErrNotFound.
	Doc(ctx context.Context, key string) (Doc, error)
	// List returns every document below prefix, ordered by key, all at one store revision.
	List(ctx context.Context, prefix string) (docs []Doc, rev int64, err error)
}

// Store is the whole of it.
type Store interface {
	Reader
	// Commit writes all of the transaction's changes, or none: ErrConflict.
	Commit(ctx context.Context, tx *Tx) (rev int64, err error)
	// Watch sends every change below prefix after revision rev, until ctx ends. When the
	// history was compacted away it sends everything again, as changes. The channel is closed at the end.
	Watch(ctx context.Context, prefix string, rev int64) <-chan Event
}

// Tx collects conditions and changes. Each key may be changed once.
type Tx struct {
	Conditions []Condition
	Changes    []Change
	Err        error // first encoding error; Commit returns it
}

// Condition holds when the document's revision is Rev; 0: there is none.
type Condition struct {
	Key string
	Rev int64
}

// Change writes Value, or deletes when it is nil.
type Change struct {
	Key   string
	Value json.RawMessage
}

// Expect adds the condition that the document at key still has revision rev (0: does not exist).
func (t *Tx) Expect(key string, rev int64) *Tx {
	t.Conditions = append(t.Conditions, Condition{key, rev})
	return t
}

// Put writes v at key, whatever is there.
func (t *Tx) Put(key string, v any) *Tx {
	b, err := json.Marshal(v)
	if err != nil && t.Err == nil {
		t.Err = err
	}
	t.Changes = append(t.Changes, Change{key, b})
	return t
}

// Create writes v at key, where nothing may be yet.
func (t *Tx) Create(key string, v any) *Tx { return t.Expect(key, 0).Put(key, v) }

// Update writes v at key, where revision rev must be.
func (t *Tx) Update(key string, rev int64, v any) *Tx { return t.Expect(key, rev).Put(key, v) }

// Delete removes what is at key.
func (t *Tx) Delete(key string) *Tx {
	t.Changes = append(t.Changes, Change{Key: key})
	return t
}

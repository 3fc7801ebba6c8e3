package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cloister.dev/cloister/internal/store"
)

// Limits of a transaction, as the store's own etcd has them.
const (
	maxChanges = 4096
	maxSize    = 1 << 20
)

// Memory is a store without an etcd, for tests that begin anew a thousand times. It decides as etcd does:
// a test compares the two.
type Memory struct {
	mu   sync.Mutex
	docs []store.Doc // by key
	rev  int64
	log  []store.Event
	news chan struct{} // closed when log grows
}

var _ store.Store = (*Memory)(nil)

// NewMemory is an empty one.
func NewMemory() *Memory { return &Memory{rev: 1, news: make(chan struct{})} }

// Snapshot remembers what is there; calling the result brings it back. Who watches meanwhile may miss
// events.
func (m *Memory) Snapshot() (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	docs, rev, events := slices.Clone(m.docs), m.rev, len(m.log)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.docs, m.rev, m.log = slices.Clone(docs), rev, m.log[:events]
	}
}

func (m *Memory) find(key string) (int, bool) {
	return slices.BinarySearchFunc(m.docs, key, func(d store.Doc, key string) int { return strings.Compare(d.Key, key) })
}

// Get implements store.Reader.
func (m *Memory) Get(ctx context.Context, key string, v any) (int64, error) {
	d, err := m.Doc(ctx, key)
	if err != nil || v == nil {
		return d.Rev, err
	}
	if err := json.Unmarshal(d.Value, v); err != nil {
		return d.Rev, fmt.Errorf("store: document at %s: %w", key, err)
	}
	return d.Rev, nil
}

// Doc implements store.Reader.
func (m *Memory) Doc(ctx context.Context, key string) (store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return store.Doc{}, err
	}
	if i, ok := m.find(key); ok {
		return m.docs[i], nil
	}
	return store.Doc{}, store.ErrNotFound
}

// List implements store.Reader.
func (m *Memory) List(ctx context.Context, prefix string) ([]store.Doc, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	i, _ := m.find(prefix)
	j := i
	for j < len(m.docs) && strings.HasPrefix(m.docs[j].Key, prefix) {
		j++
	}
	return slices.Clone(m.docs[i:j]), m.rev, nil
}

// Commit implements store.Store.
func (m *Memory) Commit(ctx context.Context, tx *store.Tx) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(tx.Err, ctx.Err()); err != nil {
		return 0, err
	}
	if len(tx.Conditions) > maxChanges || len(tx.Changes) > maxChanges {
		return 0, errors.New("store: commit: too many operations")
	}
	size, changed := 0, map[string]bool{}
	for _, c := range tx.Changes {
		if c.Key == "" || changed[c.Key] {
			return 0, fmt.Errorf("store: commit: key %q is empty or changed twice", c.Key)
		}
		changed[c.Key] = true
		size += len(c.Key) + len(c.Value)
	}
	if size > maxSize {
		return 0, store.ErrTooLarge
	}
	for _, c := range tx.Conditions {
		rev := int64(0)
		if i, ok := m.find(c.Key); ok {
			rev = m.docs[i].Rev
		}
		if rev != c.Rev {
			return 0, store.ErrConflict
		}
	}
	before := len(m.log)
	next := m.rev + 1
	for _, c := range tx.Changes {
		i, there := m.find(c.Key)
		switch {
		case c.Value != nil && there:
			m.docs[i] = store.Doc{Key: c.Key, Value: slices.Clone(c.Value), Rev: next}
		case c.Value != nil:
			m.docs = slices.Insert(m.docs, i, store.Doc{Key: c.Key, Value: slices.Clone(c.Value), Rev: next})
		case there:
			m.log = append(m.log, store.Event{Doc: store.Doc{Key: c.Key, Value: m.docs[i].Value, Rev: next}, Deleted: true})
			m.docs = slices.Delete(m.docs, i, i+1)
			continue
		default:
			continue // a delete of nothing changes nothing
		}
		m.log = append(m.log, store.Event{Doc: m.docs[i]})
	}
	if len(m.log) > before {
		m.rev = next
		close(m.news)
		m.news = make(chan struct{})
	}
	return m.rev, nil
}

// Watch implements store.Store.
func (m *Memory) Watch(ctx context.Context, prefix string, rev int64) <-chan store.Event {
	out := make(chan store.Event)
	go func() {
		defer close(out)
		for next := 0; ; {
			m.mu.Lock()
			events, news := m.log[min(next, len(m.log)):], m.news
			next = len(m.log)
			m.mu.Unlock()
			for _, e := range events {
				if e.Rev <= rev || !strings.HasPrefix(e.Key, prefix) {
					continue
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-news:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

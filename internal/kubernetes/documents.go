package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"cloister.dev/cloister/internal/store"
)

// get reads the document at key; nil: there is none.
func get[T any](ctx context.Context, s store.Reader, key string) (*T, int64, error) {
	var v T
	rev, err := s.Get(ctx, key, &v)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, 0, nil
	case err != nil:
		return nil, 0, fmt.Errorf("%s: %w", key, err)
	}
	return &v, rev, nil
}

// put adds to tx the document v at key, unless it is there already. The
// document may not change before tx is committed.
func put(ctx context.Context, s store.Reader, tx *store.Tx, key string, v any) error {
	old, rev, err := get[json.RawMessage](ctx, s, key)
	if err != nil {
		return err
	}
	want, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if old != nil && same(*old, want) {
		return nil
	}
	tx.Update(key, rev, json.RawMessage(want))
	return nil
}

// rewrite is put for a document that was read before at revision rev: whoever changed it meanwhile wins.
func rewrite(tx *store.Tx, key string, old any, rev int64, v any) error {
	was, err := json.Marshal(old)
	if err != nil {
		return err
	}
	want, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if rev == 0 || !same(was, want) {
		tx.Update(key, rev, json.RawMessage(want))
	}
	return nil
}

// same compares as JSON does: the store may have written the text in another way.
func same(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var ca, cb bytes.Buffer
	return json.Compact(&ca, a) == nil && json.Compact(&cb, b) == nil && bytes.Equal(ca.Bytes(), cb.Bytes())
}

// remove adds to tx the deletion of what is at the keys.
func remove(ctx context.Context, s store.Reader, tx *store.Tx, keys ...string) error {
	for _, key := range keys {
		switch _, err := s.Get(ctx, key, nil); {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return fmt.Errorf("%s: %w", key, err)
		default:
			tx.Delete(key)
		}
	}
	return nil
}

// commit writes tx if it changes anything.
func commit(ctx context.Context, s store.Store, tx *store.Tx) error {
	if len(tx.Changes) == 0 && tx.Err == nil {
		return nil
	}
	_, err := s.Commit(ctx, tx)
	return err
}

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"cloister.dev/cloister/internal/store"
)

// putStatus writes a document if it says something new: a status that is
// written again and again would wake everyone who watches it.
func putStatus(ctx context.Context, s store.Store, key string, v any) error {
	want, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var old json.RawMessage
	_, err = s.Get(ctx, key, &old)
	if err == nil && bytes.Equal(old, want) {
		return nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err = s.Commit(ctx, new(store.Tx).Put(key, json.RawMessage(want)))
	return err
}

func deleteKey(ctx context.Context, s store.Store, key string) error {
	_, err := s.Commit(ctx, new(store.Tx).Delete(key))
	return err
}

// all decodes every document below prefix.
func all[T any](ctx context.Context, s store.Reader, prefix string) (map[string]T, error) {
	docs, _, err := s.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make(map[string]T, len(docs))
	for _, d := range docs {
		var v T
		if err := json.Unmarshal(d.Value, &v); err != nil {
			return nil, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		out[d.Key] = v
	}
	return out, nil
}

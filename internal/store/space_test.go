package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"

	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

// TestQuota fills a small store: history makes room by itself, documents do not; what was deleted does.
func TestQuota(t *testing.T) {
	const quota = 4 << 20
	s, _ := storetest.Start(t, func(c *embed.Config) { c.QuotaBackendBytes = quota })
	text := strings.Repeat("x", 200_000)
	for i := range 60 { // three times the quota, all of one document
		if _, err := s.Commit(t.Context(), new(store.Tx).Put("/one", fmt.Sprint(i, text))); err != nil {
			t.Fatalf("version %d: %v", i, err)
		}
	}
	written := 0
	for ; ; written++ {
		_, err := s.Commit(t.Context(), new(store.Tx).Create(fmt.Sprintf("/many/%03d", written), text))
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil || written > 100 {
			t.Fatalf("document %d: %v", written, err)
		}
	}
	if used, of, err := s.Space(t.Context()); err != nil || of != quota || used < quota/2 {
		t.Errorf("%d of %d bytes, %v", used, of, err)
	}
	docs, _, err := s.List(t.Context(), "/many/")
	if err != nil || len(docs) != written || written < 10 {
		t.Fatalf("%d documents of %d are there: %v", len(docs), written, err)
	}
	if _, err := s.Commit(t.Context(), new(store.Tx).Put("/more", text)); !errors.Is(err, store.ErrFull) {
		t.Errorf("a full store: %v", err)
	}
	for _, d := range docs[:len(docs)-2] {
		if _, err := s.Commit(t.Context(), new(store.Tx).Delete(d.Key)); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	if _, err := s.Commit(t.Context(), new(store.Tx).Put("/more", text)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

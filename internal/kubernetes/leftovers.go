package kubernetes

import (
	"context"
	"errors"
	"strings"

	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// leftoversOfCluster lead from what was written for a cluster to its spec, if that is gone: the daemon may have been
// away when it went, or have ended halfway through the removal. The secrets go last of all.
func (m *Manager) leftoversOfCluster() []reconcile.Watch {
	return []reconcile.Watch{{Prefix: pkiSecretKey(""), Map: m.ifGone(func(key string) string {
		return spec.ClusterKey(strings.TrimPrefix(key, pkiSecretKey("")))
	})}}
}

// leftoversOfNode lead to a node's spec, if that is gone. The secrets go first, and the word of its removal last.
func (m *Manager) leftoversOfNode() []reconcile.Watch {
	return []reconcile.Watch{
		{Prefix: spec.StatusKey(spec.NodePrefix), Map: m.ifGone(spec.SpecKey)},
		{Prefix: spec.SecretKey(secretNode, ""), Map: m.ifGone(func(key string) string {
			return spec.NodePrefix + strings.TrimPrefix(key, spec.SecretKey(secretNode, ""))
		})},
	}
}

// ifGone maps a document to its spec's key, if there is no spec.
func (m *Manager) ifGone(specKey func(key string) string) func(context.Context, store.Event) []string {
	return func(ctx context.Context, e store.Event) []string {
		key := specKey(e.Key)
		if _, err := m.Store.Get(ctx, key, nil); errors.Is(err, store.ErrNotFound) {
			return []string{key}
		}
		return nil
	}
}

package store

import "context"

// Compact throws the history before a revision away.
func Compact(ctx context.Context, s *Etcd, rev int64) error {
	_, err := s.client.Compact(ctx, rev)
	return err
}

package store_test

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
)

func compact(t *testing.T, server *embed.Etcd, rev int64) error {
	t.Helper()
	_, err := server.Server.Compact(t.Context(), &pb.CompactionRequest{Revision: rev, Physical: true})
	return err
}

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrFull says that the store holds as much as it may; nothing was written.
var ErrFull = errors.New("store: full")

// Space is how many bytes the store's documents and their history take, and how
// many they may take: of the member that has the least room. A quota of 0 is unknown.
func (e *Etcd) Space(ctx context.Context) (used, quota int64, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for _, endpoint := range e.client.Endpoints() {
		st, err := e.client.Status(ctx, endpoint)
		if err != nil {
			return 0, 0, fmt.Errorf("store: space: %w", err)
		}
		if quota == 0 || st.DbSizeQuota-st.DbSizeInUse < quota-used {
			used, quota = st.DbSizeInUse, st.DbSizeQuota
		}
	}
	return used, quota, nil
}

// done finds out whether a transaction of which etcd said that there is no room was written: its revision, or 0.
func (e *Etcd) done(ctx context.Context, tx *Tx) (int64, error) {
	rev := int64(0)
	for _, c := range tx.Changes {
		resp, err := e.client.Get(ctx, c.Key)
		if err != nil {
			return 0, fmt.Errorf("store: commit: %w", err)
		}
		switch {
		case c.Value == nil && len(resp.Kvs) == 0:
			continue
		case c.Value == nil || len(resp.Kvs) == 0 || !bytes.Equal(resp.Kvs[0].Value, c.Value) || rev > 0 && resp.Kvs[0].ModRevision != rev:
			return 0, nil
		}
		rev = resp.Kvs[0].ModRevision
	}
	for _, c := range tx.Conditions {
		if c.Rev >= rev {
			return 0, nil // what is there was there before
		}
	}
	return rev, nil
}

// reclaim makes room when etcd has stopped taking writes because its quota is
// used up: it forgets the history, gives the room back and takes the alarm away. Watches that are
// behind begin anew. https://etcd.io/docs/latest/op-guide/maintenance/#space-quota
func (e *Etcd) reclaim(ctx context.Context) error {
	e.space.Lock()
	defer e.space.Unlock()
	resp, err := e.client.Get(ctx, "/", clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	if _, err := e.client.Compact(ctx, resp.Header.Revision, clientv3.WithCompactPhysical()); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return err
	}
	for _, endpoint := range e.client.Endpoints() {
		if _, err := e.client.Defragment(ctx, endpoint); err != nil {
			return err
		}
		st, err := e.client.Status(ctx, endpoint)
		if err != nil {
			return err
		}
		if st.DbSizeQuota > 0 && st.DbSize > st.DbSizeQuota/10*9 {
			return fmt.Errorf("the documents take %d of %d bytes", st.DbSize, st.DbSizeQuota)
		}
	}
	alarms, err := e.client.AlarmList(ctx)
	if err != nil {
		return err
	}
	for _, a := range alarms.Alarms {
		if a.Alarm == etcdserverpb.AlarmType_NOSPACE {
			if _, err := e.client.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm}); err != nil {
				return err
			}
		}
	}
	return nil
}

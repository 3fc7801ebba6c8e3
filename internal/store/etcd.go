package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// pageSize is how many documents one range request asks for.
const pageSize = 500

// maxSize is how many bytes one transaction may write: etcd takes 1.5 MiB with what goes around it.
const maxSize = 1 << 20

// callTimeout bounds a call whose context has no end of its own.
const callTimeout = 30 * time.Second

// Etcd is the Store over an etcd v3 cluster.
type Etcd struct {
	client *clientv3.Client
	space  sync.Mutex // held while room is made
}

var _ Store = (*Etcd)(nil)

// Open connects to etcd at the endpoints (https://host:port, or unix:///path of a
// socket), and returns when the store answers, or with ctx's error.
func Open(ctx context.Context, endpoints []string) (*Etcd, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(),
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
		DialTimeout: 5 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("store at %v: %w", endpoints, err)
	}
	e := &Etcd{client: client}
	for {
		call, cancel := context.WithTimeout(ctx, 2*time.Second)
		err = e.Ping(call)
		cancel()
		if err == nil {
			return e, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("store at %v does not answer: %w", endpoints, err), client.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Ping returns nil when etcd answers and has a leader.
func (e *Etcd) Ping(ctx context.Context) error {
	if _, err := e.client.Get(ctx, "/", clientv3.WithCountOnly()); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return nil
}

// Close ends the connection and every watch.
func (e *Etcd) Close() error { return e.client.Close() }

// Get implements Reader.
func (e *Etcd) Get(ctx context.Context, key string, v any) (int64, error) {
	d, err := e.Doc(ctx, key)
	if err != nil {
		return 0, err
	}
	return d.Rev, d.decode(v)
}

// Doc implements Reader.
func (e *Etcd) Doc(ctx context.Context, key string) (Doc, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	resp, err := e.client.Get(ctx, key)
	if err != nil {
		return Doc{}, fmt.Errorf("store: get %s: %w", key, err)
	}
	if len(resp.Kvs) == 0 {
		return Doc{}, ErrNotFound
	}
	return Doc{Key: key, Value: resp.Kvs[0].Value, Rev: resp.Kvs[0].ModRevision}, nil
}

// decode reads the value into v, unless v is nil.
func (d Doc) decode(v any) error {
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(d.Value, v); err != nil {
		return fmt.Errorf("store: document at %s: %w", d.Key, err)
	}
	return nil
}

// List implements Reader. It asks page by page, at the revision of the first
// page, and begins again should that revision be compacted meanwhile.
func (e *Etcd) List(ctx context.Context, prefix string) ([]Doc, int64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for {
		docs, rev, err := e.list(ctx, prefix)
		if !errors.Is(err, rpctypes.ErrCompacted) {
			if err != nil {
				err = fmt.Errorf("store: list %s: %w", prefix, err)
			}
			return docs, rev, err
		}
	}
}

func (e *Etcd) list(ctx context.Context, prefix string, opts ...clientv3.OpOption) (docs []Doc, rev int64, err error) {
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		resp, err := e.client.Get(ctx, from, append([]clientv3.OpOption{
			clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(rev),
		}, opts...)...)
		if err != nil {
			return nil, 0, err
		}
		if rev == 0 {
			rev = resp.Header.Revision
		}
		for _, kv := range resp.Kvs {
			docs = append(docs, Doc{Key: string(kv.Key), Value: kv.Value, Rev: kv.ModRevision})
		}
		if !resp.More || len(resp.Kvs) == 0 {
			return docs, rev, nil
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// Commit implements Store.
func (e *Etcd) Commit(ctx context.Context, tx *Tx) (int64, error) {
	rev, err := e.commit(ctx, tx)
	if err != nil {
		return 0, err
	}
	return rev, nil
}

// commit is Commit. With ErrConflict, too, it returns the store's revision, 0 with other errors.
func (e *Etcd) commit(ctx context.Context, tx *Tx) (int64, error) {
	if tx.Err != nil {
		return 0, fmt.Errorf("store: encode document: %w", tx.Err)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	var ifs []clientv3.Cmp
	for _, c := range tx.Conditions {
		ifs = append(ifs, clientv3.Compare(clientv3.ModRevision(c.Key), "=", c.Rev))
	}
	var thens []clientv3.Op
	size := 0
	for _, c := range tx.Changes {
		size += len(c.Key) + len(c.Value)
		if c.Value == nil {
			thens = append(thens, clientv3.OpDelete(c.Key))
		} else {
			thens = append(thens, clientv3.OpPut(c.Key, string(c.Value)))
		}
	}
	if size > maxSize {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, maxSize)
	}
	try := func() (*clientv3.TxnResponse, error) { return e.client.Txn(ctx).If(ifs...).Then(thens...).Commit() }
	resp, err := try()
	if errors.Is(err, rpctypes.ErrNoSpace) {
		full := e.reclaim(ctx)
		// The write that uses the quota up is refused and done nevertheless.
		if rev, err := e.done(ctx, tx); err != nil || rev > 0 {
			return rev, err
		}
		if full != nil {
			return 0, fmt.Errorf("%w: %w", ErrFull, full)
		}
		resp, err = try()
	}
	switch {
	case errors.Is(err, rpctypes.ErrRequestTooLarge):
		return 0, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return 0, fmt.Errorf("%w: %w", ErrFull, err)
	case err != nil:
		return 0, fmt.Errorf("store: commit: %w", err)
	case !resp.Succeeded:
		return resp.Header.Revision, ErrConflict
	}
	return resp.Header.Revision, nil
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, callTimeout)
}

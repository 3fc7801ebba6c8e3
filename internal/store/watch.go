package store

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Watch implements Store. etcd's client reconnects by itself; what is left for
// this code is a history that was compacted away: then everything is sent again,
// and what is gone is sent as deleted.
func (e *Etcd) Watch(ctx context.Context, prefix string, rev int64) <-chan Event {
	w := e.watcher(prefix, rev)
	go w.run(ctx)
	return w.out
}

func (e *Etcd) watcher(prefix string, rev int64) *watcher {
	return &watcher{etcd: e, prefix: prefix, rev: rev, out: make(chan Event, 64), known: map[string]bool{}, before: func(Event) {}}
}

type watcher struct {
	etcd   *Etcd
	prefix string
	rev    int64 // everything up to it was sent
	out    chan Event
	known  map[string]bool // the keys that exist at rev
	before func(Event)     // called before an event is sent
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.out)
	err := w.start(ctx)
	pause := firstPause
	for ctx.Err() == nil {
		if err != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, maxPause)
			err = w.again(ctx)
			continue
		}
		before := w.rev
		err = w.follow(ctx)
		if w.rev > before {
			pause = firstPause
		}
	}
}

// start learns which keys there are at the first revision.
func (w *watcher) start(ctx context.Context) error {
	call, cancel := bounded(ctx)
	defer cancel()
	resp, err := w.etcd.client.Get(call, w.prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithRev(w.rev))
	if err != nil {
		return err
	}
	for _, kv := range resp.Kvs {
		w.known[string(kv.Key)] = true
	}
	return nil
}

// follow sends changes until the watch breaks.
func (w *watcher) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	opts := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithFragment(), clientv3.WithRev(w.rev + 1)}
	for resp := range w.etcd.client.Watch(ctx, w.prefix, opts...) {
		if err := resp.Err(); err != nil {
			return err
		}
		for _, ev := range resp.Events {
			e := Event{Doc: Doc{Key: string(ev.Kv.Key), Value: ev.Kv.Value, Rev: ev.Kv.ModRevision}}
			if ev.Type == clientv3.EventTypeDelete {
				e.Deleted, e.Value = true, nil
				if ev.PrevKv != nil {
					e.Value = ev.PrevKv.Value
				}
			}
			if !w.send(ctx, e) {
				return ctx.Err()
			}
		}
		if n := len(resp.Events); n > 0 {
			w.rev = resp.Events[n-1].Kv.ModRevision
		}
	}
	return errors.New("store: watch ended")
}

// again finds out whether the history that the watch needs still exists. If
// not, it sends the present state and what has gone.
func (w *watcher) again(ctx context.Context) error {
	call, cancel := bounded(ctx)
	defer cancel()
	_, err := w.etcd.client.Get(call, w.prefix, clientv3.WithPrefix(), clientv3.WithCountOnly(), clientv3.WithRev(w.rev))
	if !errors.Is(err, rpctypes.ErrCompacted) && !errors.Is(err, rpctypes.ErrFutureRev) { // future: a backup was restored
		return err
	}
	docs, rev, err := w.etcd.List(ctx, w.prefix)
	if err != nil {
		return err
	}
	gone := w.known
	w.known = map[string]bool{}
	for _, d := range docs {
		delete(gone, d.Key)
		if !w.send(ctx, Event{Doc: d}) {
			return ctx.Err()
		}
	}
	for key := range gone {
		if !w.send(ctx, Event{Doc: Doc{Key: key, Rev: rev}, Deleted: true}) {
			return ctx.Err()
		}
	}
	w.rev = rev
	return nil
}

func (w *watcher) send(ctx context.Context, e Event) bool {
	w.before(e)
	select {
	case w.out <- e:
	case <-ctx.Done():
		return false
	}
	if e.Deleted {
		delete(w.known, e.Key)
	} else {
		w.known[e.Key] = true
	}
	return true
}

package store

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Cached is an Etcd that keeps every document in memory: every key begins with a slash. Reads
// are of one revision, and see every commit through this Cached that
// returned, or failed with ErrConflict, before the read began: they wait for the watch
// that feeds the memory. Commits of other processes are seen when the watch brings them, and at the
// latest when an event of them comes out of Watch.
type Cached struct {
	*Etcd
	end   context.CancelFunc
	ended chan struct{}

	mu   sync.RWMutex
	docs []Doc         // by key
	seen int64         // the memory is the store at this revision; 0: there is none
	want int64         // reads wait for this revision
	news chan struct{} // closed when seen changes
}

var _ Store = (*Cached)(nil)

const (
	everything = "/"
	// patience is how long a read waits for a change before it goes to etcd itself.
	patience = 100 * time.Millisecond
)

// NewCached reads everything and keeps up with it until Close, which closes e, too.
func NewCached(ctx context.Context, e *Etcd) (*Cached, error) {
	follow, end := context.WithCancel(clientv3.WithRequireLeader(context.Background()))
	c := &Cached{Etcd: e, end: end, ended: make(chan struct{}), news: make(chan struct{})}
	if err := c.load(ctx); err != nil {
		end()
		return nil, err
	}
	go c.run(follow)
	return c, nil
}

// Close ends the memory and the connection.
func (c *Cached) Close() error {
	c.end()
	<-c.ended
	return c.Etcd.Close()
}

// Get implements Reader.
func (c *Cached) Get(ctx context.Context, key string, v any) (int64, error) {
	d, err := c.Doc(ctx, key)
	if err != nil {
		return 0, err
	}
	return d.Rev, d.decode(v)
}

// Doc implements Reader.
func (c *Cached) Doc(ctx context.Context, key string) (Doc, error) {
	if !c.fresh(ctx) {
		return c.Etcd.Doc(ctx, key)
	}
	defer c.mu.RUnlock()
	i, ok := c.find(key)
	if !ok {
		return Doc{}, ErrNotFound
	}
	return c.docs[i], nil
}

// List implements Reader.
func (c *Cached) List(ctx context.Context, prefix string) ([]Doc, int64, error) {
	if !c.fresh(ctx) {
		return c.Etcd.List(ctx, prefix)
	}
	defer c.mu.RUnlock()
	i, _ := c.find(prefix)
	n := sort.Search(len(c.docs)-i, func(n int) bool { return !strings.HasPrefix(c.docs[i+n].Key, prefix) })
	return slices.Clone(c.docs[i : i+n]), c.seen, nil
}

// find is where the key is, or would be. mu is held.
func (c *Cached) find(key string) (int, bool) {
	return slices.BinarySearchFunc(c.docs, key, func(d Doc, key string) int { return strings.Compare(d.Key, key) })
}

// Commit implements Store.
func (c *Cached) Commit(ctx context.Context, tx *Tx) (int64, error) {
	rev, err := c.commit(ctx, tx)
	if rev > 0 { // every revision changes a document: the watch will tell of it
		c.wait(rev)
	}
	if err != nil {
		return 0, err
	}
	return rev, nil
}

// Watch implements Store. Who reads after an event sees what it tells of.
func (c *Cached) Watch(ctx context.Context, prefix string, rev int64) <-chan Event {
	w := c.watcher(prefix, rev)
	w.before = func(e Event) { c.wait(e.Rev) }
	go w.run(ctx)
	return w.out
}

// wait has reads that begin from now on wait for the revision.
func (c *Cached) wait(rev int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.want = max(c.want, rev)
}

// fresh waits until the memory has what reads must see, and returns with mu held for
// reading; false, without mu, when etcd itself has to be asked.
func (c *Cached) fresh(ctx context.Context) bool {
	c.mu.RLock()
	if c.seen > 0 && c.seen >= c.want {
		return true
	}
	want := c.want
	c.mu.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c.mu.RLock()
		if c.seen > 0 && c.seen >= want {
			return true
		}
		news, lost := c.news, c.seen == 0
		c.mu.RUnlock()
		if lost {
			return false
		}
		select {
		case <-news:
		case <-ctx.Done():
			return false
		}
	}
}

// load makes the memory anew.
func (c *Cached) load(ctx context.Context) error {
	list, rev, err := c.Etcd.List(ctx, everything)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].memo = new(memo)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.docs = list
	c.moved(rev)
	return nil
}

// moved says that the memory is at the revision now. mu is held.
func (c *Cached) moved(rev int64) {
	c.seen = rev
	close(c.news)
	c.news = make(chan struct{})
}

// run feeds the memory until ctx ends. A history that is gone means to read everything again; until then etcd is asked.
func (c *Cached) run(ctx context.Context) {
	defer close(c.ended)
	for ctx.Err() == nil {
		err := c.follow(ctx)
		for pause := firstPause; ctx.Err() == nil && err != nil; pause = min(2*pause, maxPause) {
			if errors.Is(err, rpctypes.ErrCompacted) || errors.Is(err, rpctypes.ErrFutureRev) {
				c.mu.Lock()
				if errors.Is(err, rpctypes.ErrFutureRev) {
					c.want = 0 // a backup was restored: what was committed after it is gone
				}
				c.moved(0)
				c.mu.Unlock()
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			call, cancel := bounded(ctx)
			err = c.load(call)
			cancel()
		}
	}
}

// follow takes changes in until the watch breaks.
func (c *Cached) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.RLock()
	from := c.seen + 1
	c.mu.RUnlock()
	// Without fragments the events of one revision come in one piece.
	for resp := range c.client.Watch(ctx, everything, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if err := resp.Err(); err != nil {
			return err
		}
		c.take(resp)
	}
	return errors.New("store: watch ended")
}

// take brings the memory to the response's last event.
func (c *Cached) take(resp clientv3.WatchResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ev := range resp.Events {
		key := string(ev.Kv.Key)
		i, there := c.find(key)
		d := Doc{Key: key, Value: ev.Kv.Value, Rev: ev.Kv.ModRevision, memo: new(memo)}
		switch {
		case ev.Type == clientv3.EventTypeDelete && there:
			c.docs = slices.Delete(c.docs, i, i+1)
		case ev.Type == clientv3.EventTypeDelete:
		case there:
			c.docs[i] = d
		default:
			c.docs = slices.Insert(c.docs, i, d)
		}
	}
	if n := len(resp.Events); n > 0 {
		c.moved(resp.Events[n-1].Kv.ModRevision)
	}
}

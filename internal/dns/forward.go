package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

const (
	forwardTimeout = 4 * time.Second
	tryTimeout     = 2 * time.Second
	maxInFlight    = 256
	maxCached      = 10_000
	maxTTL         = time.Hour
	negativeTTL    = 30 * time.Second
)

// forwarder asks servers outside, with a cache. Its sockets are in the namespace of the process.
type forwarder struct {
	mu     sync.Mutex
	cache  map[cacheKey]cached
	flight singleflight.Group
	slots  chan struct{}
	// upstreams are asked in order; set by the server at each reload.
	upstreams []string
}

type cacheKey struct {
	name  string
	qtype uint16
}

type cached struct {
	msg   *dns.Msg
	from  time.Time
	until time.Time
}

func newForwarder() *forwarder {
	return &forwarder{cache: map[cacheKey]cached{}, slots: make(chan struct{}, maxInFlight)}
}

// use sets the servers; an empty list means those of the host.
func (f *forwarder) use(upstreams []string) error {
	if len(upstreams) == 0 {
		conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return fmt.Errorf("the host's resolvers: %w", err)
		}
		for _, s := range conf.Servers {
			upstreams = append(upstreams, net.JoinHostPort(s, conf.Port))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.upstreams = upstreams
	return nil
}

// ask answers from the cache, or asks; equal questions at once are asked once.
func (f *forwarder) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	key := cacheKey{name, qtype}
	if m := f.lookup(key, time.Now()); m != nil {
		return m, nil
	}
	result := f.flight.DoChan(fmt.Sprint(name, qtype), func() (any, error) {
		select {
		case f.slots <- struct{}{}:
			defer func() { <-f.slots }()
		default:
			return nil, errors.New("too many queries at once")
		}
		m, err := f.exchange(name, qtype)
		if err == nil {
			f.keep(key, m, time.Now())
		}
		return m, err
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*dns.Msg), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *forwarder) exchange(name string, qtype uint16) (*dns.Msg, error) {
	f.mu.Lock()
	upstreams := f.upstreams
	f.mu.Unlock()
	if len(upstreams) == 0 {
		return nil, errors.New("no server to ask")
	}
	var errs []error
	for _, server := range upstreams {
		q := new(dns.Msg).SetQuestion(name, qtype) // a random id; the port is random, too
		q.SetEdns0(ednsSize, false)
		m, _, err := (&dns.Client{Timeout: tryTimeout, UDPSize: ednsSize}).Exchange(q, server)
		if err == nil && m.Truncated {
			m, _, err = (&dns.Client{Net: "tcp", Timeout: tryTimeout}).Exchange(q, server)
		}
		if err == nil && m.Rcode != dns.RcodeServerFailure && m.Rcode != dns.RcodeRefused {
			return m, nil
		}
		if err == nil {
			err = errors.New(dns.RcodeToString[m.Rcode])
		}
		errs = append(errs, fmt.Errorf("%s: %w", server, err))
	}
	return nil, errors.Join(errs...)
}

// lookup returns a kept answer with the time that is left.
func (f *forwarder) lookup(key cacheKey, now time.Time) *dns.Msg {
	f.mu.Lock()
	c, ok := f.cache[key]
	f.mu.Unlock()
	if !ok || now.After(c.until) {
		return nil
	}
	m, age := c.msg.Copy(), uint32(now.Sub(c.from)/time.Second)
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range rrs {
			rr.Header().Ttl -= min(rr.Header().Ttl, age)
		}
	}
	return m
}

func (f *forwarder) keep(key cacheKey, m *dns.Msg, now time.Time) {
	ttl := maxTTL
	if len(m.Answer) == 0 {
		ttl = negativeTTL
	}
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range rrs {
			ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
		}
	}
	if ttl <= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.cache) >= maxCached {
		for k := range f.cache { // any will do: the map's order is random
			delete(f.cache, k)
			if len(f.cache) < maxCached*9/10 {
				break
			}
		}
	}
	f.cache[key] = cached{msg: m, from: now, until: now.Add(ttl)}
}

package dns

import (
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of the cache. An answer that says no is kept for at most negativeTTL (RFC 2308 allows
// hours; a record that somebody is waiting for is seen sooner), a failure for failureTTL (RFC 9520).
const (
	maxCached   = 10_000
	maxTTL      = time.Hour
	negativeTTL = 30 * time.Second
	failureTTL  = time.Second
)

// reply is what other servers answer. It is never changed.
type reply struct {
	answer []dns.RR
	ns     []dns.RR
	rcode  int
}

type cacheKey struct {
	name  string
	qtype uint16
}

type cached struct {
	reply
	err   error // the last attempt failed
	from  time.Time
	until time.Time
}

// cache keeps replies until their time is over.
type cache struct {
	mu      sync.RWMutex
	entries map[cacheKey]cached
}

// get returns a kept reply with the time that is left, or the kept failure.
func (c *cache) get(key cacheKey, now time.Time) (reply, error, bool) {
	c.mu.RLock()
	e, ok := c.entries[key]
	c.mu.RUnlock()
	if !ok || !now.Before(e.until) {
		return reply{}, nil, false
	}
	if e.err != nil {
		return reply{}, e.err, true
	}
	age := uint32(now.Sub(e.from) / time.Second)
	return reply{aged(e.answer, age), aged(e.ns, age), e.rcode}, nil, true
}

func aged(rrs []dns.RR, age uint32) []dns.RR {
	if age == 0 || len(rrs) == 0 {
		return rrs
	}
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		out[i].Header().Ttl -= min(rr.Header().Ttl, age)
	}
	return out
}

func (c *cache) keep(key cacheKey, r reply, now time.Time) {
	if ttl := ttlOf(r); ttl > 0 {
		c.put(key, cached{reply: r, from: now, until: now.Add(ttl)})
	}
}

func (c *cache) fail(key cacheKey, err error, now time.Time) {
	c.put(key, cached{err: err, from: now, until: now.Add(failureTTL)})
}

func (c *cache) put(key cacheKey, e cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.entries[key]; !there && len(c.entries) >= maxCached {
		for k := range c.entries { // any will do: the map's order is random
			delete(c.entries, k)
			if len(c.entries) < maxCached*9/10 {
				break
			}
		}
	}
	c.entries[key] = e
}

// ttlOf is how long a reply may be kept: the shortest time of its records; of a no, what the SOA says.
func ttlOf(r reply) time.Duration {
	ttl := maxTTL
	if len(r.answer) == 0 {
		ttl = negativeTTL
	}
	for _, rr := range r.answer {
		ttl = min(ttl, seconds(rr.Header().Ttl))
	}
	for _, rr := range r.ns {
		ttl = min(ttl, seconds(rr.Header().Ttl))
		if soa, ok := rr.(*dns.SOA); ok && len(r.answer) == 0 {
			ttl = min(ttl, seconds(soa.Minttl))
		}
	}
	return ttl
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

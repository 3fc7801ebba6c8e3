package identity

import (
	"sync"
	"time"
)

const (
	throttleWindow = 5 * time.Minute
	throttleUser   = 10  // failures of one user from one address in a window
	throttleOther  = 100 // failures of anything else
	throttleKeys   = 10000
)

// throttle counts failures by key. It is in memory: a restart forgives, and no
// attacker can restart the service.
type throttle struct {
	mu       sync.Mutex
	failures map[string]failures
	now      func() time.Time
}

type failures struct {
	count int
	since time.Time
}

func newThrottle() *throttle {
	return &throttle{failures: map[string]failures{}, now: time.Now}
}

func limitOf(key string) int {
	if len(key) > 5 && (key[:5] == "user " || key[:5] == "code ") {
		return throttleUser
	}
	return throttleOther
}

// allows tells whether none of the keys has failed too often.
func (t *throttle) allows(keys ...string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		f, ok := t.failures[k]
		if ok && t.now().Sub(f.since) < throttleWindow && f.count >= limitOf(k) {
			return false
		}
	}
	return true
}

func (t *throttle) failed(keys ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for _, k := range keys {
		f, ok := t.failures[k]
		if !ok && len(t.failures) >= throttleKeys {
			t.forget(now)
		}
		if !ok || now.Sub(f.since) >= throttleWindow {
			f = failures{since: now}
		}
		f.count++
		t.failures[k] = f
	}
}

// forget makes room: what is over, or else everything but the addresses that are shut out.
func (t *throttle) forget(now time.Time) {
	for k, f := range t.failures {
		if now.Sub(f.since) >= throttleWindow {
			delete(t.failures, k)
		}
	}
	if len(t.failures) < throttleKeys {
		return
	}
	for k, f := range t.failures {
		if f.count < limitOf(k) {
			delete(t.failures, k)
		}
	}
}

func (t *throttle) succeeded(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failures, key)
}

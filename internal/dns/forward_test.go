package dns

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// upstream is a server elsewhere, on loopback by UDP and TCP.
type upstream struct {
	address string
	asked   atomic.Int32
	answer  func(q dns.Question, udp bool) *dns.Msg
}

func newUpstream(t *testing.T, answer func(q dns.Question, udp bool) *dns.Msg) *upstream {
	t.Helper()
	u := &upstream{answer: answer}
	stream, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.address = stream.Addr().String()
	packet, err := net.ListenPacket("udp4", u.address)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: packet}, {Listener: stream}} {
		started := make(chan struct{})
		s.Handler, s.NotifyStartedFunc = u, func() { close(started) }
		done := make(chan error, 1)
		go func() { done <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	return u
}

func (u *upstream) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	u.asked.Add(1)
	m := u.answer(q.Question[0], w.LocalAddr().Network() == "udp")
	rcode := m.Rcode
	m.SetReply(q).Rcode = rcode
	_ = w.WriteMsg(m)
}

func rr(t *testing.T, texts ...string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, s := range texts {
		r, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// world answers like the Internet does.
func world(t *testing.T) func(q dns.Question, udp bool) *dns.Msg {
	return func(q dns.Question, udp bool) *dns.Msg {
		m := new(dns.Msg)
		switch q.Name {
		case "www.example.com.":
			m.Answer = rr(t, "www.example.com. 300 IN A 192.0.2.1")
		case "brief.example.com.":
			m.Answer = rr(t, "brief.example.com. 0 IN A 192.0.2.1")
		case "none.example.com.":
			m.Rcode, m.Ns = dns.RcodeNameError, rr(t, "example.com. 3600 IN SOA a. b. 1 2 3 4 3600")
		case "broken.example.com.":
			m.Rcode = dns.RcodeServerFailure
		case "large.example.com.":
			m.Truncated = udp
			for i := range 60 {
				m.Answer = append(m.Answer, rr(t, fmt.Sprintf("large.example.com. 300 IN A 192.0.2.%d", i))...)
			}
			if udp {
				m.Answer = nil
			}
		case "store.example.com.": // as the public name of what has a private endpoint
			m.Answer = rr(t, "store.example.com. 300 IN CNAME web.corp.example.", "web.corp.example. 300 IN A 192.0.2.66")
		case "leak.example.com.":
			m.Answer = rr(t, "leak.example.com. 300 IN CNAME x.privatelink.eastus.azmk8s.io.", "x.privatelink.eastus.azmk8s.io. 300 IN A 192.0.2.66")
		case "chain.example.com.":
			m.Answer = rr(t, "chain.example.com. 300 IN CNAME www.example.com.", "www.example.com. 300 IN A 192.0.2.1")
		}
		return m
	}
}

func TestForward(t *testing.T) {
	u := newUpstream(t, world(t))
	z := zones()
	z.Upstreams = []string{"127.0.0.1:1", u.address} // nobody listens at the first
	b := newBench(t, z)
	for _, c := range []struct {
		name, ask, want string
		asked           int32 // how often the server elsewhere is asked by two questions
	}{
		{"kept", "www.example.com.", "192.0.2.1", 1},
		{"in any case of letters", "WWW.example.com.", "192.0.2.1", 0},
		{"not kept without a time to live", "brief.example.com.", "192.0.2.1", 2},
		{"a no is kept", "none.example.com.", "NXDOMAIN", 1},
		{"a failure", "broken.example.com.", "SERVFAIL", -1}, // kept for a moment, which may be over
		{"an alias elsewhere", "chain.example.com.", "192.0.2.1", 1},
		{"an alias from here to elsewhere", "out.corp.example.", "192.0.2.1", 0},
		{"an alias into a linked zone", "store.example.com.", "10.0.0.2", 1},
		{"an alias to what does not exist outside", "leak.example.com.", "NXDOMAIN", 1},
		{"nothing leaks", "x.privatelink.eastus.azmk8s.io.", "NXDOMAIN", 0},
		{"nor the reverse", "4.0.240.10.in-addr.arpa.", "NXDOMAIN", 0},
		{"nor a search list", "host.", "NXDOMAIN", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := u.asked.Load()
			for range 2 {
				if got := text(b.ask("linked", "udp", c.ask, dns.TypeA)); got != c.want {
					t.Fatalf("%s: %s, want %s", c.ask, got, c.want)
				}
			}
			if n := u.asked.Load() - before; n != c.asked && c.asked >= 0 {
				t.Errorf("%s: asked elsewhere %d times, want %d", c.ask, n, c.asked)
			}
		})
	}
	t.Run("large", func(t *testing.T) {
		if m := b.ask("linked", "udp", "large.example.com.", dns.TypeA); !m.Truncated || compressed(m) > dns.MinMsgSize {
			t.Errorf("without EDNS: %d bytes, truncated %v", compressed(m), m.Truncated)
		}
		if m := b.ask("linked", "udp", "large.example.com.", dns.TypeA, edns(4096)); m.Truncated || len(m.Answer) != 60 {
			t.Errorf("with EDNS: %d records, truncated %v", len(m.Answer), m.Truncated)
		}
		if m := b.ask("linked", "tcp", "large.example.com.", dns.TypeA); m.Truncated || len(m.Answer) != 60 {
			t.Errorf("TCP: %d records, truncated %v", len(m.Answer), m.Truncated)
		}
	})
}

// compressed is how long the message was in its packet.
func compressed(m *dns.Msg) int {
	m.Compress = true
	return m.Len()
}

// TestForwardAtOnce asks the same from many sides: elsewhere it is asked once.
func TestForwardAtOnce(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{})
	var first sync.Once
	w := world(t)
	u := newUpstream(t, func(q dns.Question, udp bool) *dns.Msg {
		first.Do(func() { close(arrived) })
		<-release
		return w(q, udp)
	})
	z := zones()
	z.Upstreams = []string{u.address}
	b := newBench(t, z)
	b.address("linked", "udp")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got := text(b.ask("linked", "udp", "www.example.com.", dns.TypeA)); got != "192.0.2.1" {
				t.Errorf("got %s", got)
			}
		})
	}
	<-arrived
	close(release)
	wg.Wait()
	if n := u.asked.Load(); n != 1 {
		t.Errorf("asked elsewhere %d times, want 1", n)
	}
}

func TestCache(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	c := cache{entries: map[cacheKey]cached{}}
	key := cacheKey{"www.example.com.", dns.TypeA}
	c.keep(key, reply{answer: rr(t, "www.example.com. 300 IN A 192.0.2.1")}, now)
	got, err, ok := c.get(key, now.Add(100*time.Second))
	if !ok || err != nil || got.answer[0].Header().Ttl != 200 {
		t.Fatalf("after 100 s: %v %v %v", got, err, ok)
	}
	if _, _, ok := c.get(key, now.Add(300*time.Second)); ok {
		t.Error("kept longer than its time to live")
	}
	c.fail(key, errBusy, now)
	if _, err, ok := c.get(key, now); !ok || err == nil {
		t.Error("a failure is not kept")
	}
	if _, _, ok := c.get(key, now.Add(failureTTL)); ok {
		t.Error("a failure is kept for long")
	}
	for _, r := range []struct {
		name string
		reply
		want time.Duration
	}{
		{"shortest", reply{answer: rr(t, "a. 300 IN CNAME b.", "b. 7 IN A 192.0.2.1")}, 7 * time.Second},
		{"very long", reply{answer: rr(t, "a. 900000 IN A 192.0.2.1")}, maxTTL},
		{"no, by the SOA's minimum", reply{ns: rr(t, "a. 3600 IN SOA a. b. 1 2 3 4 5"), rcode: dns.RcodeNameError}, 5 * time.Second},
		{"no, by the SOA's time to live", reply{ns: rr(t, "a. 6 IN SOA a. b. 1 2 3 4 3600"), rcode: dns.RcodeNameError}, 6 * time.Second},
		{"no, for long", reply{ns: rr(t, "a. 3600 IN SOA a. b. 1 2 3 4 3600"), rcode: dns.RcodeNameError}, negativeTTL},
		{"no, without an SOA", reply{rcode: dns.RcodeNameError}, negativeTTL},
	} {
		if got := ttlOf(r.reply); got != r.want {
			t.Errorf("%s: %s, want %s", r.name, got, r.want)
		}
	}
	for i := range maxCached + 10 {
		c.keep(cacheKey{strings.Repeat("x", 1+i%50) + fmt.Sprint(i), dns.TypeA}, reply{answer: rr(t, "a. 300 IN A 192.0.2.1")}, now)
	}
	if len(c.entries) > maxCached {
		t.Errorf("%d entries", len(c.entries))
	}
}

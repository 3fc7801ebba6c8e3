package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

// Bounds of questions to other servers.
const (
	forwardTimeout = 4 * time.Second
	tryTimeout     = 1500 * time.Millisecond
	maxInFlight    = 512
)

var errBusy = errors.New("too many queries at once")

// forwarder asks servers outside, with a cache. Its sockets are in the namespace of the process.
type forwarder struct {
	cache     cache
	flight    singleflight.Group
	slots     chan struct{}
	upstreams atomic.Pointer[[]string] // asked in order
}

func newForwarder() *forwarder {
	return &forwarder{cache: cache{entries: map[cacheKey]cached{}}, slots: make(chan struct{}, maxInFlight)}
}

// use sets the servers; an empty list means those of the file resolvConf.
func (f *forwarder) use(upstreams []string, resolvConf string) error {
	if len(upstreams) == 0 {
		conf, err := dns.ClientConfigFromFile(resolvConf)
		if err != nil {
			return fmt.Errorf("the host's resolvers: %w", err)
		}
		for _, s := range conf.Servers {
			upstreams = append(upstreams, net.JoinHostPort(s, conf.Port))
		}
	}
	f.upstreams.Store(&upstreams)
	return nil
}

// ask answers from the cache, or asks; equal questions at once are asked once.
func (f *forwarder) ask(ctx context.Context, name string, qtype uint16) (reply, error) {
	key := cacheKey{name, qtype}
	if r, err, ok := f.cache.get(key, time.Now()); ok {
		return r, err
	}
	result := f.flight.DoChan(strconv.Itoa(int(qtype))+name, func() (any, error) {
		select {
		case f.slots <- struct{}{}:
			defer func() { <-f.slots }()
		default:
			return reply{}, errBusy
		}
		r, err := f.exchange(name, qtype)
		if err != nil {
			f.cache.fail(key, err, time.Now())
		} else {
			f.cache.keep(key, r, time.Now())
		}
		return r, err
	})
	select {
	case r := <-result:
		got, _ := r.Val.(reply)
		return got, r.Err
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}

func (f *forwarder) exchange(name string, qtype uint16) (reply, error) {
	servers := f.upstreams.Load()
	if servers == nil || len(*servers) == 0 {
		return reply{}, errors.New("no server to ask")
	}
	var errs []error
	for _, server := range *servers {
		m, err := exchangeWith(server, name, qtype)
		if err == nil {
			return reply{m.Answer, m.Ns, m.Rcode}, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", server, err))
	}
	return reply{}, errors.Join(errs...)
}

// exchangeWith asks one server; by TCP if the answer does not fit into a packet. Each question has
// a random id and comes from a random port, and the answer must repeat it.
func exchangeWith(server, name string, qtype uint16) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.SetEdns0(ednsSize, false)
	m, _, err := (&dns.Client{Timeout: tryTimeout, UDPSize: ednsSize}).Exchange(q, server)
	if err == nil && m.Truncated {
		m, _, err = (&dns.Client{Net: "tcp", Timeout: tryTimeout}).Exchange(q, server)
	}
	switch {
	case err != nil:
		return nil, err
	case !m.Response || len(m.Question) != 1 || m.Question[0].Qtype != qtype || !strings.EqualFold(m.Question[0].Name, name):
		return nil, errors.New("the answer is to another question")
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return nil, errors.New(dns.RcodeToString[m.Rcode])
	}
	return m, nil
}

package dns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/spec"
)

// Address is the resolver's inside each virtual network, as in Azure.
const Address = "168.63.129.16"

// Options say what Serve reads.
type Options struct {
	File string // written by Write
	// Listen opens the sockets of one server; nil: in the network namespace at netns.
	Listen func(netns, address string) (net.PacketConn, net.Listener, error)
	Log    *slog.Logger
}

// poll is how often the file's time is looked at: a change is seen by every
// network within this.
const poll = 25 * time.Millisecond

// server keeps one listener for each network, and the public one.
type server struct {
	Options
	forwarder *forwarder
	listeners map[string]*listener // by network id; "" is the public one
}

type listener struct {
	netns    string
	handler  *handler
	servers  []*dns.Server
	identity uint64 // of the namespace: another one may stand at the same path later
}

// Serve answers until ctx ends.
func Serve(ctx context.Context, o Options) error {
	if o.Listen == nil {
		o.Listen = listenIn
	}
	s := &server{Options: o, forwarder: newForwarder(), listeners: map[string]*listener{}}
	defer s.close()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var seen fs.FileInfo
	var again time.Time
	for {
		st, err := os.Stat(o.File)
		if err == nil && (seen == nil || !os.SameFile(st, seen) || !st.ModTime().Equal(seen.ModTime())) || !again.IsZero() && time.Now().After(again) {
			seen, again = st, time.Time{}
			if err := s.reload(); err != nil {
				o.Log.WarnContext(ctx, "reload", "error", err)
				again = time.Now().Add(500 * time.Millisecond) // a namespace may not be there yet
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// reload brings listeners and views to the file's state. What goes well is done also if something fails.
func (s *server) reload() error {
	z, err := Read(s.File)
	if err != nil {
		return err
	}
	if err := s.forwarder.use(z.Upstreams); err != nil {
		return err
	}
	networks, public := views(z)
	want := map[string]spec.ZoneNetwork{}
	for _, n := range z.Networks {
		want[n.ID] = n
	}
	if z.EdgeNetNS != "" {
		want[""] = spec.ZoneNetwork{NetNS: z.EdgeNetNS}
	}
	var errs []error
	for id, l := range s.listeners {
		// An open socket keeps a namespace alive: those of networks that are gone are closed first.
		if w, ok := want[id]; !ok || w.NetNS != l.netns || identityOf(w.NetNS) != l.identity {
			l.close()
			delete(s.listeners, id)
		}
	}
	for id, n := range want {
		address, v, f := net.JoinHostPort(Address, "53"), networks[id], s.forwarder
		if id == "" {
			address, v, f = net.JoinHostPort(z.PublicDNS.String(), "53"), public, nil
		}
		l := s.listeners[id]
		if l == nil {
			if l, err = s.open(n.NetNS, address, f); err != nil {
				errs = append(errs, fmt.Errorf("network %q: %w", id, err))
				continue
			}
			s.listeners[id] = l
		}
		l.handler.view.Store(v)
	}
	return errors.Join(errs...)
}

func (s *server) open(netns, address string, f *forwarder) (*listener, error) {
	packet, stream, err := s.Listen(netns, address)
	if err != nil {
		return nil, err
	}
	l := &listener{netns: netns, identity: identityOf(netns), handler: &handler{forwarder: f, log: s.Log}}
	for _, srv := range []*dns.Server{
		{PacketConn: packet, Handler: l.handler, UDPSize: ednsSize},
		{Listener: stream, Handler: l.handler, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxTCPQueries: 100},
	} {
		l.servers = append(l.servers, srv)
		go func() {
			if err := srv.ActivateAndServe(); err != nil && !errors.Is(err, net.ErrClosed) {
				s.Log.Warn("listener ended", "address", address, "error", err)
			}
		}()
	}
	return l, nil
}

func (l *listener) close() {
	for _, srv := range l.servers {
		if srv.PacketConn != nil {
			_ = srv.PacketConn.Close()
		}
		if srv.Listener != nil {
			_ = srv.Listener.Close()
		}
	}
}

func (s *server) close() {
	for _, l := range s.listeners {
		l.close()
	}
}

// identityOf is the namespace's inode number; 0 if there is none.
func identityOf(netns string) uint64 {
	var st unix.Stat_t
	if netns == "" || unix.Stat(netns, &st) != nil {
		return 0
	}
	return st.Ino
}

// listenIn opens the sockets on a thread that is in the namespace; they stay there.
func listenIn(netns, address string) (packet net.PacketConn, stream net.Listener, err error) {
	target, err := os.Open(netns)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = target.Close() }()
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and nobody else gets it.
		runtime.LockOSThread()
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter %s: %w", netns, err)
			return
		}
		var err error
		if packet, err = net.ListenPacket("udp4", address); err != nil {
			done <- err
			return
		}
		if stream, err = net.Listen("tcp4", address); err != nil {
			_ = packet.Close()
		}
		done <- err
	}()
	err = <-done
	return packet, stream, err
}

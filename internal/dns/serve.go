package dns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"time"

	"cloister.dev/cloister/internal/spec"
)

// Address is the resolver's inside each virtual network, as in Azure.
const Address = "168.63.129.16"

// Options say what Serve reads.
type Options struct {
	File string // written by Write
	// Listen opens the sockets of one server; nil: in the network namespace at netns.
	Listen func(netns, address string) (net.PacketConn, net.Listener, error)
	// ResolvConf names the servers to ask where the file names none; "" is /etc/resolv.conf.
	ResolvConf string
	Log        *slog.Logger
}

// How often what cannot be watched is looked at: namespaces that are not there yet, and
// everything else (namespaces that were made anew, the host's name servers).
const (
	retryEvery = 50 * time.Millisecond
	lookEvery  = time.Second
)

// publicID is the public server's in the server's maps; networks have resource ids.
const publicID = ""

// server keeps one listener for each network, and the public one.
type server struct {
	Options
	forwarder *forwarder
	listeners map[string]*listener // by network id
	zones     *spec.Zones          // as they were read last
	views     map[string]*view     // of the zones, by network id
	seen      fs.FileInfo
	reported  string // the last problem that was logged
}

// Serve answers until ctx ends. While the file is missing or wrong it goes on with what it read last.
func Serve(ctx context.Context, o Options) error {
	if o.Listen == nil {
		o.Listen = listenIn
	}
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	s := &server{Options: o, forwarder: newForwarder(), listeners: map[string]*listener{}}
	defer s.close()
	changes := watch(ctx, o.File, o.Log)
	for {
		err := s.refresh()
		s.report(ctx, err)
		wait := lookEvery
		if err != nil {
			wait = retryEvery
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changes:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// report logs a problem once, and its end.
func (s *server) report(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == s.reported:
	case text != "":
		s.Log.WarnContext(ctx, "not everything can be answered yet", "error", text)
	default:
		s.Log.InfoContext(ctx, "everything is answered", "networks", len(s.zones.Networks), "number", s.zones.Number)
	}
	s.reported = text
}

// refresh reads the file if it changed, and brings listeners and views to its state. What goes well is done also if something fails.
func (s *server) refresh() error {
	st, err := os.Stat(s.File)
	var readErr error
	if err == nil && (s.seen == nil || !os.SameFile(st, s.seen) || !st.ModTime().Equal(s.seen.ModTime())) {
		z, err := Read(s.File)
		if err == nil {
			s.seen, s.zones = st, &z
			s.show()
		}
		readErr = err
	} else if err != nil {
		readErr = err
	}
	if s.zones == nil {
		return readErr
	}
	return errors.Join(readErr, s.forwarder.use(s.zones.Upstreams, s.ResolvConf), s.listen())
}

// show has listeners that are there answer from the zones that were read.
func (s *server) show() {
	networks, public := views(*s.zones)
	networks[publicID] = public
	s.views = networks
	for id, l := range s.listeners {
		if v := s.views[id]; v != nil {
			l.handler.view.Store(v)
		}
	}
}

// listen opens listeners that are missing and closes those whose network is gone.
func (s *server) listen() error {
	want := map[string]spec.ZoneNetwork{}
	for _, n := range s.zones.Networks {
		want[n.ID] = n
	}
	if s.zones.EdgeNetNS != "" {
		want[publicID] = spec.ZoneNetwork{NetNS: s.zones.EdgeNetNS}
	}
	for id, l := range s.listeners {
		// An open socket keeps a namespace alive: those of networks that are gone are closed first.
		if w, ok := want[id]; !ok || w.NetNS != l.netns || s.address(id) != l.address || identityOf(w.NetNS) != l.identity {
			l.close()
			delete(s.listeners, id)
		}
	}
	var errs []error
	for id, n := range want {
		if s.listeners[id] != nil {
			continue
		}
		h := &handler{forwarder: s.forwarder, log: s.Log}
		if id == publicID {
			h.forwarder = nil
		}
		h.view.Store(s.views[id])
		l, err := open(s.Options, n.NetNS, s.address(id), h)
		if err != nil {
			errs = append(errs, fmt.Errorf("network %q: %w", id, err))
			continue
		}
		s.listeners[id] = l
	}
	return errors.Join(errs...)
}

func (s *server) address(id string) string {
	if id == publicID {
		return net.JoinHostPort(s.zones.PublicDNS.String(), "53")
	}
	return net.JoinHostPort(Address, "53")
}

func (s *server) close() {
	for _, l := range s.listeners {
		l.close()
	}
}

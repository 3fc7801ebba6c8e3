package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"
)

// Bounds of one network's TCP connections.
const (
	maxConnections = 100
	maxTCPQueries  = 100 // on one connection
	tcpTimeout     = 5 * time.Second
)

// listener is the open sockets of one network.
type listener struct {
	netns, address string
	identity       uint64 // of the namespace: another one may stand at the same path later
	handler        *handler
	servers        []*dns.Server
}

// open opens the sockets and answers at them.
func open(o Options, netns, address string, h *handler) (*listener, error) {
	l := &listener{netns: netns, address: address, identity: identityOf(netns), handler: h}
	packet, stream, err := o.Listen(netns, address)
	if err != nil {
		return nil, err
	}
	l.servers = []*dns.Server{
		{PacketConn: newPackets(packet, h), Handler: h, UDPSize: ednsSize},
		{
			Listener: netutil.LimitListener(stream, maxConnections), Handler: h, MaxTCPQueries: maxTCPQueries,
			ReadTimeout: tcpTimeout, WriteTimeout: tcpTimeout, IdleTimeout: func() time.Duration { return tcpTimeout },
		},
	}
	for _, srv := range l.servers {
		started, ended := make(chan struct{}), make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			if err := srv.ActivateAndServe(); err != nil {
				o.Log.Warn("listener ended", "netns", netns, "address", address, "error", err)
			}
		}()
		select {
		case <-started:
		case <-ended:
			l.close()
			return nil, fmt.Errorf("serve %s: the socket ended", address)
		}
	}
	return l, nil
}

// close closes the sockets at once; who waits for an answer gets none.
func (l *listener) close() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	for _, srv := range l.servers {
		_ = srv.ShutdownContext(now) // says that it did not wait
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

// present says whether the namespace that the thread is in has the address. In one that is so new that it has no routing table
// yet, the kernel takes any address for a broadcast one: a socket could be bound, and would answer from another address for ever.
func present(address string) error {
	want, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	have, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, a := range have {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == want.Addr() {
			return nil
		}
	}
	return fmt.Errorf("no interface has the address %s yet", want.Addr())
}

// listenIn opens the sockets on a thread that is in the namespace for that time; they stay there.
func listenIn(netns, address string) (packet net.PacketConn, stream net.Listener, err error) {
	target, err := os.Open(netns)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = target.Close() }()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = home.Close() }()
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter %s: %w", netns, err)
			return
		}
		packet, stream, err = listenBoth(address)
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread() // else the thread ends with the goroutine
		}
		done <- err
	}()
	err = <-done
	return packet, stream, err
}

func listenBoth(address string) (net.PacketConn, net.Listener, error) {
	if err := present(address); err != nil {
		return nil, nil, err
	}
	packet, err := net.ListenPacket("udp4", address)
	if err != nil {
		return nil, nil, err
	}
	stream, err := net.Listen("tcp4", address)
	if err != nil {
		_ = packet.Close()
		return nil, nil, err
	}
	return packet, stream, nil
}

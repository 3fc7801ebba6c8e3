package walk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// capture keeps what passes the host's uplinks, outgoing, bounded.
type capture struct {
	mu      sync.Mutex
	fd      int
	packets [][]byte
	seen    int
	done    chan struct{}
	uplinks map[int]bool
}

const maxPackets = 50_000

// startCapture listens on every interface of the host that a default route uses.
func startCapture() (*capture, error) {
	uplinks, err := defaultInterfaces()
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP)))
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	timeout := unix.NsecToTimeval(int64(200 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	c := &capture{fd: fd, done: make(chan struct{}), uplinks: uplinks}
	go c.read()
	return c, nil
}

func (c *capture) read() {
	defer close(c.done)
	buf := make([]byte, 2048)
	for {
		n, from, err := unix.Recvfrom(c.fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			if c.stopped() {
				return
			}
			continue
		}
		if err != nil {
			return
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok || ll.Pkttype != unix.PACKET_OUTGOING || !c.uplinks[ll.Ifindex] {
			continue
		}
		c.mu.Lock()
		c.seen++
		if len(c.packets) < maxPackets {
			c.packets = append(c.packets, bytes.Clone(buf[:n]))
		}
		c.mu.Unlock()
	}
}

func (c *capture) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fd < 0
}

func (c *capture) stop() {
	c.mu.Lock()
	fd := c.fd
	c.fd = -1
	c.mu.Unlock()
	if fd >= 0 {
		<-c.done
		_ = unix.Close(fd)
	}
}

// clean wants no packet to the addresses or to a private range, and none that holds a name in DNS form.
func (c *capture) clean(addresses, names []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen > maxPackets {
		return fmt.Errorf("%d packets left by the uplink, more than are kept: the check saw only a part", c.seen)
	}
	for _, p := range c.packets {
		if len(p) < 20 || p[0]>>4 != 4 {
			continue
		}
		dst := net.IP(p[16:20]).String()
		for _, a := range addresses {
			if dst == a {
				return fmt.Errorf("a packet for %s left by the uplink", a)
			}
		}
		for _, name := range names {
			if bytes.Contains(bytes.ToLower(p), wireName(name)) {
				return fmt.Errorf("a query for %s left by the uplink to %s", name, dst)
			}
		}
	}
	return nil
}

func wireName(name string) []byte {
	var b []byte
	for _, label := range strings.Split(name, ".") {
		b = append(b, byte(len(label)))
		b = append(b, strings.ToLower(label)...)
	}
	return b
}

// defaultInterfaces are the indexes of the interfaces of default routes.
func defaultInterfaces() (map[int]bool, error) {
	text, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, err
	}
	out := map[int]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		ifi, err := net.InterfaceByName(f[0])
		if err != nil {
			return nil, err
		}
		out[ifi.Index] = true
	}
	return out, nil
}

func htons(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// bindTo has a dialer use one interface.
func bindTo(device string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var bound error
		if err := c.Control(func(fd uintptr) { bound = unix.BindToDevice(int(fd), device) }); err != nil {
			return err
		}
		return bound
	}
}

// listeners is the host's listening TCP sockets, address:port in hex.
func listeners() (map[string]bool, error) {
	out := map[string]bool{}
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 3 && f[3] == "0A" {
				out[f[1]] = true
			}
		}
	}
	return out, nil
}

// Package fabric applies network plans to this machine: namespaces, veth pairs,
// addresses, routes, neighbours and packet filters. It touches what plans name and
// what carries Cloister's mark, and nothing else.
package fabric

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/netplan"
)

// Options say where pins are and which namespace plays the host.
type Options struct {
	RunDir string
	// HostNS is the path of the namespace that is the host's; "": the one of this
	// process. Tests give one of their own.
	HostNS string
}

// Fabric is the network of this machine.
type Fabric struct {
	pins    pins
	host    string            // path of the host's namespace
	own     *os.File          // keeps that path open, if it is this process's own
	mu      sync.Mutex        // one plan at a time
	number  map[string]int64  // newest plan by scope
	filters map[string]filter // what was loaded last, by namespace
}

// ErrOld says that a newer plan was applied already.
var ErrOld = errors.New("fabric: a newer plan is applied")

// New prepares the folder of namespaces.
func New(o Options) (*Fabric, error) {
	f, err := Look(o)
	if err != nil {
		return nil, err
	}
	return f, f.pins.setUp()
}

// Look is New for somebody who wants to know what Apply would change, and changes nothing.
func Look(o Options) (*Fabric, error) {
	f := &Fabric{pins: pins{filepath.Join(o.RunDir, "netns")}, host: o.HostNS, number: map[string]int64{}, filters: map[string]filter{}}
	if f.host == "" {
		// A thread that was given up in another namespace may be the process's first one, and
		// then /proc/self is there: what the host's namespace is has to be remembered now.
		own, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		if err != nil {
			return nil, err
		}
		f.host = fmt.Sprintf("/proc/self/fd/%d", own.Fd())
		f.own = own
	}
	return f, nil
}

// Path is where the namespace of that name is pinned; of the host it is the host's.
func (f *Fabric) Path(name string) string {
	if name == netplan.HostNS {
		return f.host
	}
	return f.pins.path(name)
}

// EnsureSandbox makes a sandbox's namespace, with nothing in it but a loopback
// interface, unless it is there.
func (f *Fabric) EnsureSandbox(name string) (string, error) {
	if name == "" || strings.ContainsAny(name, "/.") {
		return "", fmt.Errorf("fabric: %q is no name of a sandbox", name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pins.path(name), f.ensure(name)
}

func (f *Fabric) ensure(name string) error {
	if name == netplan.HostNS {
		return nil
	}
	fresh, err := f.pins.ensure(name, prepareNamespace)
	if fresh {
		delete(f.filters, name)
	}
	return err
}

// DeleteSandbox removes a namespace's pin. It ends when nothing runs in it any more.
func (f *Fabric) DeleteSandbox(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.filters, name)
	return f.pins.remove(name)
}

// Apply brings the namespaces to where the plan wants them. scope names what
// the plan is about (a network's id, "host"); an older number than the last one of
// the scope is refused with ErrOld. It is safe to repeat: then it changes nothing.
func (f *Fabric) Apply(ctx context.Context, scope string, number int64, namespaces []netplan.Namespace) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if number < f.number[scope] {
		return ErrOld
	}
	for _, ns := range namespaces {
		if err := f.ensure(ns.Name); err != nil {
			return err
		}
	}
	for _, ns := range namespaces {
		if err := f.applyLinks(ns); err != nil {
			return fmt.Errorf("namespace %q: %w", ns.Name, err)
		}
	}
	for _, ns := range namespaces {
		if err := ctx.Err(); err != nil {
			return err
		}
		// The filter first: no packet is forwarded before it.
		if err := f.applyFilter(ctx, ns); err != nil {
			return fmt.Errorf("namespace %q: %w", ns.Name, err)
		}
		if err := f.applyAddresses(ns); err != nil {
			return fmt.Errorf("namespace %q: %w", ns.Name, err)
		}
	}
	f.number[scope] = number
	return nil
}

// Sweep removes every pinned namespace that keep does not name, and says which.
func (f *Fabric) Sweep(keep map[string]bool) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	names, err := f.pins.list()
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, name := range names {
		if keep[name] || name == netplan.EdgeNS || name == netplan.ProviderNS {
			continue
		}
		if err := f.pins.remove(name); err != nil {
			return gone, err
		}
		delete(f.filters, name)
		gone = append(gone, name)
	}
	slices.Sort(gone)
	return gone, nil
}

// Down removes every namespace and what the host's own got, and puts its settings back.
func (f *Fabric) Down(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.hostDown(ctx)
	f.filters, f.number = map[string]filter{}, map[string]int64{}
	return errors.Join(err, f.pins.tearDown())
}

// Listen opens a TCP listener inside a namespace. The namespace lives as long as the listener.
func (f *Fabric) Listen(name, address string) (l net.Listener, err error) {
	err = inNamespace(f.Path(name), func() (err error) {
		l, err = net.Listen("tcp4", address)
		return err
	})
	return l, err
}

// Dial connects from inside a namespace.
func (f *Fabric) Dial(ctx context.Context, name, network, address string) (c net.Conn, err error) {
	if _, err := os.Stat(f.Path(name)); name != netplan.HostNS && err != nil {
		return nil, err
	}
	err = inNamespace(f.Path(name), func() (err error) {
		var d net.Dialer
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Close removes every namespace and the folder of pins, and leaves the host's own namespace alone.
func (f *Fabric) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pins.tearDown()
}

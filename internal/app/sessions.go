package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/ipam"
	"cloister.dev/cloister/internal/local"
	"cloister.dev/cloister/internal/reconcile"
	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

// sessionPrefix is where the interfaces of `cloister run` are remembered.
const sessionPrefix = "/session/"

// session is one `cloister run`: an interface for as long as its process lives.
type session struct {
	ID      string `json:"id"`
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // of the process, in clock ticks after boot: a PID comes again
	Subnet  string `json:"subnet"`
	Prefix  string `json:"prefix"`
}

func (s session) nic() string     { return "session/" + s.ID }
func (s session) sandbox() string { return "run-" + s.ID }

// sessions makes and ends them.
type sessions struct{ store store.Store }

// open takes an address, writes the NIC, and waits until it is attached.
func (m *sessions) open(ctx context.Context, req local.SessionRequest) (*local.Session, error) {
	id, err := resourceid.Parse(req.Subnet)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(id.Type(), "Microsoft.Network/virtualNetworks/subnets") || id.Name() == "" {
		return nil, fmt.Errorf("--subnet: %q is not the id of a subnet: /subscriptions/…/virtualNetworks/…/subnets/… (az network vnet subnet show --query id -o tsv)", req.Subnet)
	}
	started, err := processStart(req.PID)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", req.PID, err)
	}
	s := session{PID: req.PID, Started: started, Subnet: id.Key()}
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, err
	}
	s.ID = hex.EncodeToString(b[:])
	var address netip.Addr
	for {
		address, err = m.take(ctx, id, s)
		if !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	path, err := m.attached(ctx, s)
	if err != nil {
		return nil, errors.Join(err, m.end(context.WithoutCancel(ctx), sessionPrefix+s.ID))
	}
	return &local.Session{ID: s.ID, NetNS: path, Address: address.String()}, nil
}

// take writes the session and its NIC with an address of the subnet, in one transaction.
func (m *sessions) take(ctx context.Context, subnet resourceid.ID, s session) (netip.Addr, error) {
	res, err := (&arm.Resources{Store: m.store}).Get(ctx, subnet.String())
	if err != nil {
		return netip.Addr{}, err
	}
	s.Prefix, _ = res.Properties()["addressPrefix"].(string)
	prefix, err := netip.ParsePrefix(s.Prefix)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("subnet %s: %w", subnet, err)
	}
	pool, err := ipam.Load(ctx, m.store, subnet.Key(), prefix, reservedInSubnet)
	if err != nil {
		return netip.Addr{}, err
	}
	addrs, err := pool.Take(s.nic(), 1)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("subnet %s: %w", subnet, err)
	}
	tx := new(store.Tx).Create(sessionPrefix+s.ID, s).Create(spec.NICKey(s.nic()), spec.NIC{
		Name: s.nic(), Owner: "cloister run, process " + strconv.Itoa(s.PID), Network: subnet.Parent().Key(), Subnet: subnet.Key(),
		Sandbox: s.sandbox(), Interface: "eth0", MAC: macOf(s.ID), Address: addrs[0],
	}).Expect(arm.Key(res.ID), res.Rev)
	pool.Save(tx)
	_, err = m.store.Commit(ctx, tx)
	return addrs[0], err
}

// reservedInSubnet is how many addresses at a subnet's start are the platform's, as in Azure.
const reservedInSubnet = 4

func macOf(id string) string {
	return fmt.Sprintf("00:0d:%s:%s:%s:%s", id[0:2], id[2:4], id[4:6], id[6:8])
}

// attached waits for the NIC's status and returns the namespace's path.
func (m *sessions) attached(ctx context.Context, s session) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	key, last := spec.StatusKey(spec.NICKey(s.nic())), "nothing was reported yet"
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var st spec.AttachStatus
		var sandbox spec.SandboxStatus
		_, err := m.store.Get(ctx, key, &st)
		if err == nil && st.Ready {
			if _, err := m.store.Get(ctx, spec.SandboxKey(s.sandbox()), &sandbox); err != nil {
				return "", err
			}
			return sandbox.Path, nil
		}
		if err == nil && st.Message != "" {
			last = st.Message
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the interface in the subnet was not ready after 30 s: %s", last)
		case <-tick.C:
		}
	}
}

// end frees the address and removes the NIC; the fabric does the rest.
func (m *sessions) end(ctx context.Context, key string) error {
	for {
		var s session
		rev, err := m.store.Get(ctx, key, &s)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		prefix, err := netip.ParsePrefix(s.Prefix)
		tx := new(store.Tx).Expect(key, rev).Delete(key).Delete(spec.NICKey(s.nic()))
		if err == nil {
			pool, err := ipam.Load(ctx, m.store, s.Subnet, prefix, reservedInSubnet)
			if err != nil {
				return err
			}
			pool.Release(s.nic())
			pool.Save(tx)
		}
		if _, err = m.store.Commit(ctx, tx); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// reconciler ends sessions whose process is gone, also after the daemon was away.
func (m *sessions) reconciler() reconcile.Reconciler {
	return reconcile.Reconciler{
		Name: "sessions", Watches: []reconcile.Watch{{Prefix: sessionPrefix}}, Writes: []string{sessionPrefix, spec.NICPrefix, "/ipam/"},
		Reconcile: func(ctx context.Context, key string) (reconcile.Result, error) {
			var s session
			_, err := m.store.Get(ctx, key, &s)
			if errors.Is(err, store.ErrNotFound) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			if started, err := processStart(s.PID); err == nil && started == s.Started {
				return reconcile.Result{After: 2 * time.Second}, nil
			}
			return reconcile.Result{}, m.end(ctx, key)
		},
	}
}

// processStart is field 22 of /proc/PID/stat (proc(5)): which process with this number it is.
func processStart(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // the name before may hold spaces
	if len(fields) < 20 {
		return 0, fmt.Errorf("unexpected /proc/%d/stat", pid)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

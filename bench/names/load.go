package names

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"

	"cloister.dev/cloister/bench/proc"
)

const (
	sockets = 8
	window  = 64 // queries under way of each socket
)

// load asks for the names, one after the other, with as many queries under way as the windows
// let, and returns how many answers with an address came for each second that the server computed.
func load(address string, names []string, d time.Duration, server int) (float64, error) {
	queries := make([][]byte, len(names))
	for i, n := range names {
		queries[i] = query(n)
	}
	var answers atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, sockets)
	begin, err := proc.CPU(server)
	if err != nil {
		return 0, err
	}
	end := time.Now().Add(d)
	for s := range sockets {
		conn, err := net.Dial("udp4", address)
		if err != nil {
			return 0, err
		}
		wg.Go(func() {
			defer func() { _ = conn.Close() }()
			n, err := ask(ipv4.NewPacketConn(conn.(*net.UDPConn)), conn, queries, s, end)
			answers.Add(n)
			if err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	used, err := proc.CPU(server)
	if err != nil {
		return 0, err
	}
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	return float64(answers.Load()) / (used - begin).Seconds(), nil
}

// ask keeps a window of queries under way on one socket until the end. What does not come within a second is asked again.
func ask(many *ipv4.PacketConn, conn net.Conn, queries [][]byte, first int, end time.Time) (int64, error) {
	in, out := make([]ipv4.Message, window), make([]ipv4.Message, 0, window)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 1232)}
	}
	var count int64
	next, lost := first*7919, 0
	for free := window; time.Now().Before(end); {
		out = out[:0]
		for range free {
			out = append(out, ipv4.Message{Buffers: [][]byte{queries[next%len(queries)]}})
			next++
		}
		for rest := out; len(rest) > 0; {
			n, err := many.WriteBatch(rest, 0)
			if err != nil {
				return count, err
			}
			rest = rest[n:]
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return count, err
		}
		n, err := many.ReadBatch(in, 0)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			if lost++; lost > 5 {
				return count, errors.New("the server does not answer")
			}
			free = window
			continue
		}
		if err != nil {
			return count, err
		}
		for _, m := range in[:n] {
			if b := m.Buffers[0][:m.N]; len(b) < 12 || b[3]&0x0f != 0 || binary.BigEndian.Uint16(b[6:]) != 1 {
				return count, errors.New("an answer without an address")
			}
		}
		count += int64(n)
		free = n
	}
	return count, nil
}

// query is a question for the name's address in wire form.
func query(name string) []byte {
	b := []byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for i := 0; i < len(name); {
		n := i
		for n < len(name) && name[n] != '.' {
			n++
		}
		b = append(append(b, byte(n-i)), name[i:n]...)
		i = n + 1
	}
	return append(b, 0, 0, 1, 0, 1)
}

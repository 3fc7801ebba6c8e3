package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"cloister.dev/cloister/bench/figure"
)

// What a client says first, and the server does then.
const (
	sink  = 's' // reads until the end
	echo  = 'e' // sends each byte back
	short = 'c' // sends one byte and closes
)

// ServeSockets is the process at the service's end. at is host:port.
func ServeSockets(_ context.Context, at string) error {
	l, err := net.Listen("tcp4", at)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = c.Close() }()
			var first [1]byte
			if _, err := io.ReadFull(c, first[:]); err != nil {
				return
			}
			switch first[0] {
			case sink:
				buf := make([]byte, 256<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
				}
			case echo:
				var b [1]byte
				for {
					if _, err := io.ReadFull(c, b[:]); err != nil {
						return
					}
					if _, err := c.Write(b[:]); err != nil {
						return
					}
				}
			case short:
				_, _ = c.Write(first[:]) // the client counts what it got
			}
		}()
	}
}

// values are what one client measured.
type values struct {
	Throughput float64 // Gbit/s
	RoundTrip  float64 // µs, p50
	Connects   float64 // /s
}

const (
	throughputTime = 600 * time.Millisecond
	roundTripTime  = 300 * time.Millisecond
	connectsTime   = 400 * time.Millisecond
)

// Connect is the process at the client's end. where is host:port and a file for the values, with a comma between.
func Connect(_ context.Context, where string) error {
	at, file, _ := strings.Cut(where, ",")
	// The server may be starting.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); ; <-tick.C {
		err := once(at)
		if err == nil {
			break
		}
		if time.Since(begin) > 5*time.Second {
			return err
		}
	}
	var v values
	for _, measure := range []func(string, *values) error{throughput, roundTrip, connects} {
		if err := measure(at, &v); err != nil {
			return err
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

func dial(at string, first byte) (net.Conn, error) {
	c, err := net.DialTimeout("tcp4", at, 5*time.Second)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if _, err := c.Write([]byte{first}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func throughput(at string, v *values) error {
	c, err := dial(at, sink)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	buf := make([]byte, 256<<10)
	send := func(d time.Duration) (float64, error) {
		sent, begin := 0, time.Now()
		for time.Since(begin) < d {
			n, err := c.Write(buf)
			if err != nil {
				return 0, err
			}
			sent += n
		}
		return float64(sent) * 8 / 1e9 / time.Since(begin).Seconds(), nil
	}
	if _, err := send(200 * time.Millisecond); err != nil { // until windows are open
		return err
	}
	v.Throughput, err = send(throughputTime)
	return err
}

func roundTrip(at string, v *values) error {
	c, err := dial(at, echo)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var b [1]byte
	var trips []float64
	for end := time.Now().Add(roundTripTime); time.Now().Before(end); {
		begin := time.Now()
		if _, err := c.Write(b[:]); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return err
		}
		trips = append(trips, float64(time.Since(begin).Nanoseconds())/1000)
	}
	v.RoundTrip = figure.Percentile(trips, 0.5)
	return nil
}

// connects opens one connection after the other over a few lanes, each closed by the server.
func connects(at string, v *values) error {
	const lanes = 4
	counts, failed := make(chan int, lanes), make(chan error, lanes)
	begin := time.Now()
	for range lanes {
		go func() {
			n := 0
			var err error
			for time.Since(begin) < connectsTime && err == nil {
				err = once(at)
				n++
			}
			failed <- err
			counts <- n
		}()
	}
	sum := 0
	for range lanes {
		if err := <-failed; err != nil {
			return err
		}
		sum += <-counts
	}
	v.Connects = float64(sum) / time.Since(begin).Seconds()
	return nil
}

func once(at string) error {
	c, err := dial(at, short)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	var b [1]byte
	_, err = io.ReadFull(c, b[:])
	// Without a reset, ports that wait would be all that is left after some seconds.
	return errors.Join(err, c.(*net.TCPConn).SetLinger(0), c.Close())
}

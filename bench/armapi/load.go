package armapi

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"cloister.dev/cloister/bench/proc"
)

// load is a client that costs little, so that the server is what is measured: requests are
// bytes that were made before, and of answers no more is read than where they end.
type load struct {
	address string
	request []byte
	size    int // of the body that must come
}

// run sends requests over the connections for the time, and returns how many the server
// answered in each second that it computed.
func (l load) run(connections int, d time.Duration, server int) (float64, error) {
	conns := make([]*tls.Conn, 0, connections)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range connections {
		c, err := tls.Dial("tcp", l.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) //nolint:gosec // its own server on loopback
		if err != nil {
			return 0, err
		}
		conns = append(conns, c)
	}
	var answers atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, connections)
	begin, err := proc.CPU(server)
	if err != nil {
		return 0, err
	}
	end := time.Now().Add(d)
	for _, c := range conns {
		wg.Go(func() {
			r := bufio.NewReaderSize(c, 64<<10)
			for time.Now().Before(end) {
				if err := l.once(c, r); err != nil {
					failed <- err
					return
				}
				answers.Add(1)
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

// once sends a request and reads its answer.
func (l load) once(c io.Writer, r *bufio.Reader) error {
	if _, err := c.Write(l.request); err != nil {
		return err
	}
	size := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answer %q", line)
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if size, err = strconv.Atoi(string(v)); err != nil {
				return err
			}
		}
	}
	if size != l.size {
		return errors.New("an answer of another size: " + strconv.Itoa(size))
	}
	_, err := r.Discard(size)
	return err
}

package limits

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	maxMemory = 700             // MiB, whatever clients do
	maxAnswer = 8 * time.Second // for a client that does nothing wrong, on a machine that two cores share with the attackers
)

// bystander asks again and again from an address of its own while others attack, and returns how
// often it was answered and how long it waited at most.
func bystander(e *endpoint, stop <-chan struct{}) (count int, worst time.Duration, err error) {
	c := e.client("127.0.0.9")
	for {
		select {
		case <-stop:
			return count, worst, nil
		default:
		}
		begin := time.Now()
		status, body, err := e.do(c, http.MethodGet, e.path("/resourceGroups"), "", nil)
		if err != nil || status != http.StatusOK {
			return count, worst, fmt.Errorf("status %d %s: %w", status, body, err)
		}
		count++
		worst = max(worst, time.Since(begin))
	}
}

// TestFlood runs every attack beside a client that does nothing wrong.
func TestFlood(t *testing.T) {
	e := start(t)
	for _, a := range []struct {
		name string
		run  func(*testing.T, *endpoint)
	}{
		{"1000 requests at once", thousand}, {"slow headers", slowHeaders}, {"slow bodies", slowBodies}, {"huge bodies", hugeBodies},
		{"broken TLS", brokenTLS}, {"HTTP-2 resets", rapidReset},
	} {
		t.Run(a.name, func(t *testing.T) {
			stop, done := make(chan struct{}), make(chan struct{})
			var (
				count int
				worst time.Duration
				err   error
			)
			go func() { defer close(done); count, worst, err = bystander(e, stop) }()
			begin := time.Now()
			a.run(t, e)
			close(stop)
			<-done
			memory := e.peak(t)
			t.Logf("%.1f s; another client: %d answers, %.0f ms at most; memory %d MiB at most", time.Since(begin).Seconds(), count, float64(worst.Microseconds())/1000, memory)
			if err != nil || count == 0 || worst > maxAnswer {
				t.Errorf("another client: %d answers, %s at most: %v", count, worst, err)
			}
			if memory > maxMemory {
				t.Errorf("%d MiB of memory", memory)
			}
		})
	}
}

// many runs f n times at once and counts what it returns.
func many(n int, f func(i int) string) map[string]int {
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	got := map[string]int{}
	for i := range n {
		wg.Go(func() {
			s := f(i)
			mu.Lock()
			got[s]++
			mu.Unlock()
		})
	}
	wg.Wait()
	return got
}

func outcome(status int, err error) string {
	if err != nil {
		return "cut off"
	}
	return fmt.Sprint(status)
}

// thousand: every one is answered, each on a connection of its own; half of them write.
func thousand(t *testing.T, e *endpoint) {
	c := e.client("127.0.0.2")
	got := many(1000, func(i int) string {
		method, path, body := http.MethodGet, "/resourceGroups", ""
		if i%2 == 0 {
			method, path, body = http.MethodPut, fmt.Sprintf("/resourceGroups/g%d", i), `{"location":"eastus"}`
		}
		status, _, err := e.do(c, method, e.path(path), "application/json", strings.NewReader(body))
		return outcome(status, err)
	})
	if got["200"] != 500 || got["201"] != 500 {
		t.Errorf("answers %v", got)
	}
}

// slowHeaders: more connections than one address may have, each sending a header that never ends. They are
// closed, the newest after ten seconds at the latest.
func slowHeaders(t *testing.T, e *endpoint) {
	got := many(1800, func(int) string {
		c, err := tls.DialWithDialer(dialer("127.0.0.3"), "tcp", e.Address, e.tls("http/1.1"))
		if err != nil {
			return "closed"
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
			return "closed"
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, c)
			ended <- err
		}()
		for {
			select {
			case err := <-ended:
				if e, ok := err.(interface{ Timeout() bool }); ok && e.Timeout() {
					return "kept"
				}
				return "closed"
			case <-tick.C:
				_, _ = io.WriteString(c, "x")
			}
		}
	})
	if got["kept"] > 0 {
		t.Errorf("connections: %v", got)
	}
}

// slowBodies: large bodies of which little comes. They hold no more than they sent, and no turn of others.
func slowBodies(t *testing.T, e *endpoint) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			c, err := tls.DialWithDialer(dialer("127.0.0.4"), "tcp", e.Address, e.tls("http/1.1"))
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			_, _ = fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 4000000\r\n\r\n{", e.path(fmt.Sprintf("/resourceGroups/slow%d", i)), e.token)
			_, _ = c.Write(bytes.Repeat([]byte(" "), 100_000)) // enough for a turn
			<-stop
		})
	}
	// Somebody else's large body has its turn meanwhile.
	c := e.client("127.0.0.5")
	body := `{"location":"eastus","x":"` + strings.Repeat("y", 200_000) + `"}`
	for i := range 5 {
		status, text, err := e.do(c, http.MethodPut, e.path(fmt.Sprintf("/resourceGroups/large%d", i)), "application/json", strings.NewReader(body))
		if err != nil || status != http.StatusCreated {
			t.Errorf("a large body: %d %s %v", status, text, err)
		}
	}
	close(stop)
	wg.Wait()
}

// hugeBodies: as large as allowed and made to grow in memory, and larger than allowed.
func hugeBodies(t *testing.T, e *endpoint) {
	values := `{"x":[` + strings.Repeat(`[],`, 1_200_000) + `[]]}`
	text := `{"location":"eastus","x":"` + strings.Repeat("y", 3_900_000) + `"}`
	deep := strings.Repeat(`{"a":`, 800_000) + "1" + strings.Repeat("}", 800_000)
	large := strings.Repeat(" ", 30<<20)
	c := e.client("127.0.0.6")
	got := many(60, func(i int) string {
		status, _, err := e.do(c, http.MethodPut, e.path(fmt.Sprintf("/resourceGroups/huge%d", i)), "application/json", strings.NewReader([]string{values, text, deep, large}[i%4]))
		return outcome(status, err)
	})
	for status := range got {
		switch status {
		case "400", "413", "503", "cut off": // what is too large may be cut off while it is sent
		default:
			t.Errorf("answers %v", got)
		}
	}
	if got["400"] == 0 || got["413"] == 0 {
		t.Errorf("answers %v", got)
	}
}

// brokenTLS: what is no handshake, and handshakes that end in the middle.
func brokenTLS(t *testing.T, e *endpoint) {
	got := many(600, func(i int) string {
		c, err := dialer("127.0.0.7").Dial("tcp", e.Address)
		if err != nil {
			return "refused"
		}
		defer func() { _ = c.Close() }()
		switch i % 3 {
		case 0:
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		case 1:
			_, _ = c.Write(append([]byte{22, 3, 1, 0x3f, 0xff}, bytes.Repeat([]byte{byte(i)}, 9000)...))
		default:
			_, _ = c.Write([]byte{22, 3, 1, 0, 100, 1}) // and nothing more
		}
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			if e, ok := err.(interface{ Timeout() bool }); ok && e.Timeout() {
				return "kept"
			}
		}
		return "closed"
	})
	if got["kept"] > 0 {
		t.Errorf("connections: %v", got)
	}
}

// rapidReset opens streams and resets them at once (CVE-2023-44487), on several connections.
func rapidReset(t *testing.T, e *endpoint) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", e.path("/resourceGroups")}, {"authorization", "Bearer " + e.token}} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true}); err != nil {
			t.Fatal(err)
		}
	}
	sent := many(8, func(int) string {
		c, err := tls.DialWithDialer(dialer("127.0.0.8"), "tcp", e.Address, e.tls("h2"))
		if err != nil {
			return err.Error()
		}
		defer func() { _ = c.Close() }()
		go func() { _, _ = io.Copy(io.Discard, c) }()
		_ = c.SetWriteDeadline(time.Now().Add(20 * time.Second))
		fr := http2.NewFramer(c, nil)
		if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
			return err.Error()
		}
		if err := fr.WriteSettings(); err != nil {
			return err.Error()
		}
		for i := range 10_000 {
			id := uint32(2*i + 1)
			if fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}) != nil || fr.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				return "closed by the endpoint"
			}
		}
		return "all sent"
	})
	if sent["all sent"]+sent["closed by the endpoint"] != 8 {
		t.Errorf("connections: %v", sent)
	}
}

package httpbound

import (
	"io"
	"net/http"
	"net/netip"
	"time"
)

// body is a request's body. What goes beyond a small one is read when its turn
// has come, and has to be here soon then: a slow client may hold little for
// long, or much for a moment.
type body struct {
	io.ReadCloser
	gate    *gate
	writer  http.ResponseWriter
	request *http.Request
	addr    netip.Addr
	read    int
	large   bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if !b.large {
		if b.read >= smallBody {
			if err := b.gate.large.take(b.request.Context(), b.addr, b.gate.wait); err != nil {
				return 0, err
			}
			b.large = true
			if err := http.NewResponseController(b.writer).SetReadDeadline(time.Now().Add(largeTime)); err != nil {
				return 0, err
			}
		} else {
			p = p[:min(len(p), smallBody-b.read)]
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.read += n
	return n, err
}

// release gives the turn back.
func (b *body) release() {
	if b.large {
		b.gate.large.free(b.addr)
		b.large = false
	}
}

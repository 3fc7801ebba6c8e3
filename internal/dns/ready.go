package dns

import (
	"encoding/binary"
	"sync"

	"github.com/miekg/dns"
)

// Bounds of the answers that a view keeps ready.
const (
	maxReady   = 4096
	maxKey     = 3 + 255 + 4 // flags, name, type and class
	headerSize = 12          // https://www.rfc-editor.org/rfc/rfc1035#section-4.1.1
)

// Bits of a query's header that an answer depends on; with any other set it goes the long way.
const (
	bitRD = 1 << 8
	bitAD = 1 << 5
	bitCD = 1 << 4
)

// readyAnswers are a view's own answers in wire form, by the query without its ID and the
// case of its letters. A view never changes, so they are right as long as the view is used.
type readyAnswers struct {
	mu sync.RWMutex
	of map[string][]byte
}

// get appends the answer to a query to buf, if it is ready.
func (a *readyAnswers) get(query, buf []byte) ([]byte, bool) {
	var space [maxKey]byte
	key, end, ok := wireKey(query, space[:0])
	if !ok {
		return nil, false
	}
	a.mu.RLock()
	answer, ok := a.of[string(key)]
	a.mu.RUnlock()
	if !ok {
		return nil, false
	}
	buf = append(buf, answer...)
	copy(buf, query[:2])                             // the ID
	copy(buf[headerSize:end], query[headerSize:end]) // the name as it was asked, to which the records point
	return buf, true
}

// keep remembers the answer to a query. What is large or says no is made each time:
// names that do not exist are too many.
func (a *readyAnswers) keep(req, resp *dns.Msg) {
	if resp.Rcode != dns.RcodeSuccess || len(resp.Answer) == 0 || resp.Truncated {
		return
	}
	resp.Compress = true
	wire, err := resp.Pack()
	if err != nil || len(wire) > dns.MinMsgSize {
		return
	}
	query, err := req.Pack()
	if err != nil {
		return
	}
	key, _, ok := wireKey(query, nil)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil || len(a.of) >= maxReady {
		a.of = map[string][]byte{}
	}
	a.of[string(key)] = wire
}

// wireKey appends what an answer to the query depends on to key; end is where the question ends. It
// takes plain queries only: one question, and at most an empty OPT record of version 0.
func wireKey(query, key []byte) (_ []byte, end int, ok bool) {
	if len(query) < headerSize {
		return nil, 0, false
	}
	count := func(i int) uint16 { return binary.BigEndian.Uint16(query[i:]) }
	flags, extra := count(2), count(10)
	if flags&^(bitRD|bitAD|bitCD) != 0 || count(4) != 1 || count(6) != 0 || count(8) != 0 || extra > 1 {
		return nil, 0, false
	}
	key = append(key, query[2], query[3], byte(extra))
	end = headerSize
	for {
		if end >= len(query) || query[end] > 63 { // the end, or a pointer
			return nil, 0, false
		}
		next := end + 1 + int(query[end])
		if next > len(query) || next-headerSize > 255 {
			return nil, 0, false
		}
		for _, c := range query[end:next] {
			if 'A' <= c && c <= 'Z' { // lengths are smaller than letters
				c += 'a' - 'A'
			}
			key = append(key, c)
		}
		last := query[end] == 0
		if end = next; last {
			break
		}
	}
	if end+4 > len(query) {
		return nil, 0, false
	}
	key = append(key, query[end:end+4]...)
	end += 4
	rest := query[end:]
	if extra == 0 {
		return key, end, len(rest) == 0
	}
	// Name (root), type, UDP size, extended code, version, flags, length: https://www.rfc-editor.org/rfc/rfc6891#section-6.1.2
	plain := len(rest) == 11 && rest[0] == 0 && binary.BigEndian.Uint16(rest[1:]) == dns.TypeOPT && rest[5] == 0 && rest[6] == 0 && rest[9] == 0 && rest[10] == 0
	return key, end, plain
}

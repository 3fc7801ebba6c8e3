package dns

import (
	"net"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// batch is how many packets one system call takes or gives.
const batch = 16

// packets is a UDP socket that answers by itself what its network's view has ready, many packets
// with a system call, and hands on the rest. ReadFrom must not be called twice at once.
type packets struct {
	net.PacketConn
	many    *ipv4.PacketConn
	handler *handler
	in, out []ipv4.Message
	replies [][]byte // room for the answers of one batch
	rest    []int    // of in: what is to be handed on
}

func newPackets(conn net.PacketConn, h *handler) *packets {
	p := &packets{PacketConn: conn, many: ipv4.NewPacketConn(conn), handler: h, in: make([]ipv4.Message, batch), replies: make([][]byte, batch)}
	for i := range p.in {
		p.in[i].Buffers = [][]byte{make([]byte, ednsSize)}
		p.replies[i] = make([]byte, 0, dns.MinMsgSize)
	}
	return p
}

// ReadFrom implements net.PacketConn: it returns the next query that is to be answered the long way.
func (p *packets) ReadFrom(b []byte) (int, net.Addr, error) {
	for len(p.rest) == 0 {
		n, err := p.many.ReadBatch(p.in, 0)
		if err != nil {
			return 0, nil, err
		}
		p.answer(n)
	}
	m := p.in[p.rest[0]]
	p.rest = p.rest[1:]
	return copy(b, m.Buffers[0][:m.N]), m.Addr, nil
}

// answer answers what is ready of the n packets that were read.
func (p *packets) answer(n int) {
	p.rest, p.out = p.rest[:0], p.out[:0]
	view := p.handler.view.Load()
	for i, m := range p.in[:n] {
		if view != nil {
			if reply, ok := view.ready.get(m.Buffers[0][:m.N], p.replies[i][:0]); ok {
				p.out = append(p.out, ipv4.Message{Buffers: [][]byte{reply}, Addr: m.Addr})
				continue
			}
		}
		p.rest = append(p.rest, i)
	}
	for out := p.out; len(out) > 0; {
		sent, err := p.many.WriteBatch(out, 0)
		if err != nil {
			sent = max(sent, 1) // one that cannot be reached keeps no other waiting
		}
		out = out[sent:]
	}
}

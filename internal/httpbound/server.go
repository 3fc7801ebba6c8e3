// Package httpbound makes HTTP servers whose clients cannot make them hold or
// wait for more than they should: connections, requests at once, slow and large
// bodies are bounded, for all clients together and for each address.
package httpbound

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Bounds of one server. An address is a client's IP address.
const (
	maxConnections     = 4096
	maxConnectionsAddr = 1536
	maxRequests        = 512 // being answered at once; others wait
	maxRequestsAddr    = 128
	maxWaiting         = 4096 // for their turn; further ones are refused at once
	maxWait            = 30 * time.Second
	smallBody          = 64 << 10 // what any request may send
	maxLarge           = 4        // requests with larger bodies at once
	maxLargeAddr       = 2
	largeTime          = 15 * time.Second // in which a large body has to be here once its turn has come
)

// Server is an http.Server with bounds.
type Server struct {
	*http.Server
	connections *connections
}

// NewServer makes a server for a handler. The handler sees bodies that fail with ErrBusy when they are
// large and too many others are.
func NewServer(h http.Handler, log *slog.Logger) *Server {
	s := &Server{connections: newConnections(maxConnections, maxConnectionsAddr)}
	s.Server = &http.Server{
		Handler: newGate(h),
		// A header is short; a body of 4 MiB may come by a slow line; so may an answer go.
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), ConnState: s.connections.changed,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 100, MaxReceiveBufferPerConnection: 128 << 10, MaxReceiveBufferPerStream: 64 << 10,
			SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: 30 * time.Second,
		},
	}
	return s
}

// Serve answers on the listener, over TLS, until Shutdown or Close.
func (s *Server) Serve(l net.Listener, c *tls.Config) error {
	return s.Server.Serve(tls.NewListener(&listener{l, s.connections}, c))
}

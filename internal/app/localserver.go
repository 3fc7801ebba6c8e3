package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"cloister.dev/cloister/internal/identity"
	"cloister.dev/cloister/internal/local"
)

// localServer answers the commands of this machine at a Unix socket.
type localServer struct {
	access   func() access // looked up each time: the group may be new
	log      *slog.Logger
	status   func(context.Context) *local.Status
	sessions func() (*sessions, error) // an error while the store does not answer yet
	ids      func() *identity.Service  // nil until then
	members  members
}

var errStarting = errors.New("Cloister is still starting: try again in a moment")

func (s *localServer) serve(ctx context.Context) error {
	if err := os.Remove(s.access().socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", s.access().socket)
	if err != nil {
		return fmt.Errorf("listen for local commands: %w", err)
	}
	if err := s.access().grant(); err != nil {
		return errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { s.answer(w, s.status(r.Context()), nil) })
	// A session without a command is for root: only root can enter a network itself.
	mux.HandleFunc("POST /sessions", s.forRoot(func(m *sessions, r *http.Request) (any, error) {
		var req local.SessionRequest
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&req); err != nil {
			return nil, err
		}
		return m.open(r.Context(), req)
	}))
	mux.HandleFunc("DELETE /sessions/{id}", s.forRoot(func(m *sessions, r *http.Request) (any, error) {
		return struct{}{}, m.end(r.Context(), sessionPrefix+r.PathValue("id"))
	}))
	mux.HandleFunc("POST /run", func(w http.ResponseWriter, r *http.Request) {
		who, _ := peerOf(r.Context())
		m, err := s.sessions()
		if err == nil {
			err = s.members.run(w, r, who, m, s.ids())
		}
		if err != nil {
			s.answer(w, nil, err)
		}
	})
	srv := &http.Server{Handler: s.forPeers(mux), ReadHeaderTimeout: 5 * time.Second, ConnContext: withPeer}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// forPeers refuses whom the socket's mode should have refused.
func (s *localServer) forPeers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, ok := peerOf(r.Context()); !ok || !s.access().allows(who) {
			s.answer(w, nil, local.ErrDenied)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *localServer) forRoot(do func(*sessions, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if who, ok := peerOf(r.Context()); !ok || !who.root() {
			s.answer(w, nil, errors.New("this is for root"))
			return
		}
		m, err := s.sessions()
		var out any
		if err == nil {
			out, err = do(m, r)
		}
		s.answer(w, out, err)
	}
}

func (s *localServer) answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		v = map[string]string{"error": err.Error()}
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Warn("answer a local command", "error", err)
	}
}

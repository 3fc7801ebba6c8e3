package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"cloister.dev/cloister/internal/local"
)

// localServer answers the commands of this machine at a Unix socket.
type localServer struct {
	access   access
	log      *slog.Logger
	status   func(context.Context) *local.Status
	sessions func() (*sessions, error) // an error while the store does not answer yet
}

func (s *localServer) serve(ctx context.Context) error {
	if err := os.Remove(s.access.socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", s.access.socket)
	if err != nil {
		return fmt.Errorf("listen for local commands: %w", err)
	}
	if err := s.access.grant(); err != nil {
		return errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { s.answer(w, s.status(r.Context()), nil) })
	mux.HandleFunc("POST /sessions", func(w http.ResponseWriter, r *http.Request) {
		var req local.SessionRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&req); err != nil {
			s.answer(w, nil, err)
			return
		}
		m, err := s.sessions()
		if err != nil {
			s.answer(w, nil, err)
			return
		}
		out, err := m.open(r.Context(), req)
		s.answer(w, out, err)
	})
	mux.HandleFunc("DELETE /sessions/{id}", func(w http.ResponseWriter, r *http.Request) {
		m, err := s.sessions()
		if err == nil {
			err = m.end(r.Context(), sessionPrefix+r.PathValue("id"))
		}
		s.answer(w, struct{}{}, err)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
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

// Package apptest runs the whole program within a test, on a database of its own
// and on real sockets, for clients that are not Go: browsers, proxies, other
// people's libraries.
package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/config"
)

// Password is a password that every rule takes.
const Password = "correct horse battery staple"

// Server is a program that serves until its test ends.
type Server struct {
	*app.App

	URL  string // the issuer, http://localhost:<port>
	Addr string // where that port is, 127.0.0.1:<port>
}

// Start runs the program with a cheap hash and without limits. environ is
// settings besides, as JOTGATE_X=value.
func Start(tb testing.TB, environ ...string) *Server {
	tb.Helper()
	addr := FreeAddr(tb)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{URL: "http://localhost:" + port, Addr: addr}
	c, err := config.Load(config.Source{Environ: append([]string{
		"JOTGATE_HTTP_ADDR=" + addr, "JOTGATE_OPS_ADDR=127.0.0.1:0", "JOTGATE_PUBLIC_URL=" + s.URL,
		"JOTGATE_DATA_DIR=" + filepath.Join(tb.TempDir(), "data"), "JOTGATE_RATE_LIMIT_ENABLED=false",
		"JOTGATE_PASSWORD_MEMORY_KIB=64", "JOTGATE_PASSWORD_PASSES=1",
	}, environ...)})
	if err != nil {
		tb.Fatal(err)
	}
	if s.App, err = app.New(tb.Context(), c, app.Build{Version: "test"}, slog.New(slog.DiscardHandler)); err != nil {
		tb.Fatal(err)
	}
	s.run(tb)
	return s
}

func (s *Server) run(tb testing.TB) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.Run(ctx, func(app.Listening) { close(started) }) }()
	tb.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			tb.Error(err)
		}
	})
	select {
	case <-started:
	case err := <-ended:
		tb.Fatal(err)
	}
}

// FreeAddr returns an address on loopback where nobody listens.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // for a moment
	if err != nil {
		tb.Fatal(err)
	}
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	return l.Addr().String()
}

// Call makes one request with a JSON body, if body is not nil, and the bearer
// token, if there is one. It decodes the answer into answer, if that is not nil,
// and returns the status.
func (s *Server) Call(tb testing.TB, method, path, token string, body, answer any) int {
	tb.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			tb.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, s.URL+path, bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		tb.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(got, answer); err != nil {
			tb.Fatalf("%s %s: %d %s: %v", method, path, res.StatusCode, got, err)
		}
	}
	return res.StatusCode
}

// Tokens is what a bearer client gets.
type Tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	User    struct {
		ID string `json:"id"`
	} `json:"user"`
}

// SignUp registers a user with [Password].
func (s *Server) SignUp(tb testing.TB, username string) {
	tb.Helper()
	if got := s.Call(tb, http.MethodPost, "/v1/users", "", map[string]string{"username": username, "password": Password}, nil); got != http.StatusCreated {
		tb.Fatalf("register %s: status %d", username, got)
	}
}

// SignIn signs a user of [Password] in, in mode bearer.
func (s *Server) SignIn(tb testing.TB, username string) Tokens {
	tb.Helper()
	var t Tokens
	if got := s.Call(tb, http.MethodPost, "/v1/login", "", map[string]string{"identifier": username, "password": Password}, &t); got != http.StatusOK {
		tb.Fatalf("log %s in: status %d", username, got)
	}
	return t
}

package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/store"
)

// The program takes the rows for its own: any of the users can sign in, has the sessions
// that are not over, and the pruner finds what is due.
func TestTheProgramLivesInAFilledDatabase(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Source{Environ: []string{
		"JOTGATE_HTTP_ADDR=127.0.0.1:0", "JOTGATE_OPS_ADDR=127.0.0.1:0", "JOTGATE_DATA_DIR=" + filepath.Join(t.TempDir(), "data"),
		cheapMemory, cheapPasses, noLimits,
	}})
	if err != nil {
		t.Fatal(err)
	}
	url := c.Database.URL.Reveal()
	s := seeding{users: 100, sessions: 1000, now: time.Now()}
	serve(t, c, func(addr string) {
		if _, err := signIn(addr, 1); err != nil {
			t.Fatal(err)
		}
	})
	if s.hash, err = hashOf(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := fill(t.Context(), url, s.tables()); err != nil {
		t.Fatal(err)
	}
	serve(t, c, func(addr string) {
		for i := range s.users {
			if got, want := livingOf(t, addr, i), s.livingOf(i)+1; got != want {
				t.Errorf("user %d has %d living sessions, want %d: the seeded ones and that of the login", i, got, want)
			}
		}
	})
	db, err := store.Open(t.Context(), store.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if n, err := db.Sessions().Prune(t.Context(), s.now.Add(-keptOver), s.sessions); err != nil || n != s.due() {
		t.Errorf("pruned %d sessions, %v; want %d", n, err, s.due())
	}
}

// serve runs the program until f is done.
func serve(t *testing.T, c config.Config, f func(addr string)) {
	t.Helper()
	a, err := app.New(t.Context(), c, app.Build{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(a.API)
	f(server.Listener.Addr().String())
	server.Close()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// livingOf logs a user in and returns how many living sessions they have then.
func livingOf(t *testing.T, addr string, i int) int {
	t.Helper()
	var own tokens
	ask200(t, addr, request("POST", "/v1/login", strings.Replace(login, "ada", usernameOf(i), 1)), &own)
	var all struct{ Sessions []json.RawMessage }
	ask200(t, addr, request("GET", "/v1/sessions", "", own.header()), &all)
	return len(all.Sessions)
}

func ask200(t *testing.T, addr string, text []byte, answer any) {
	t.Helper()
	status, body, err := once(addr, text)
	if err := errors.Join(err, wantStatus("ask", http.StatusOK, status, body)); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		t.Fatal(err)
	}
}

// livingOf counts what was seeded.
func (s seeding) livingOf(user int) (n int) {
	for i := range s.sessions + s.due() {
		row := s.sessionRow(i)
		if _, over := s.over(i); !over && row[1] == s.userID(user) {
			n++
		}
	}
	return n
}

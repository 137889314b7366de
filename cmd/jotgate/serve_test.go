package main

import (
	"net"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/config"
)

// TestWelcomeNamesNoDirectoryForPostgres has the address of the database left out:
// it may hold a password.
func TestWelcomeNamesNoDirectoryForPostgres(t *testing.T) {
	c := config.Default()
	c.Database.URL = config.NewSecret("postgres://jotgate:canary@db.example.com/jotgate")
	var out strings.Builder
	welcome(&out, c, app.Listening{API: &net.TCPAddr{}, Operations: &net.TCPAddr{}})
	if !strings.Contains(out.String(), "\n  data        in PostgreSQL\n") || strings.Contains(out.String(), "canary") {
		t.Error(out.String())
	}
}

// TestWelcomeSaysThatNobodyIsThere has only the port of the listener changed, as by somebody
// whose port is taken.
func TestWelcomeSaysThatNobodyIsThere(t *testing.T) {
	const hint = "JOTGATE_PUBLIC_URL="
	for _, tt := range []struct {
		public string
		port   int
		want   string
	}{
		{"http://localhost:8080", 8080, ""},
		{"http://localhost:8080", 9000, hint + "http://localhost:9000\n"},
		{"http://[::1]:8080", 9000, hint + "http://[::1]:9000\n"},
		{"http://localhost", 8080, hint + "http://localhost:8080\n"},
		{"http://localhost", 80, ""},
		{"https://auth.example.com", 8080, ""},
	} {
		c := config.Default()
		c.PublicURL = tt.public
		var out strings.Builder
		welcome(&out, c, app.Listening{API: &net.TCPAddr{Port: tt.port}, Operations: &net.TCPAddr{}})
		if got := out.String(); !strings.Contains(got, tt.want) || strings.Contains(got, hint) != (tt.want != "") {
			t.Errorf("%s on port %d: %s", tt.public, tt.port, got)
		}
	}
}

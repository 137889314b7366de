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

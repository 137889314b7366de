package apptest_test

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/pgtest"
)

// TestStartsOnTheLevelBefore puts a database back by one migration, as the version
// before left it, and starts this one on it: what was handed out is still good.
func TestStartsOnTheLevelBefore(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.DSN(t),
	} {
		t.Run(name, func(t *testing.T) {
			environ := []string{"JOTGATE_DATABASE_URL=" + url, masterKey("a")}
			var before apptest.Tokens
			var issuer string
			t.Run("before", func(t *testing.T) {
				s := apptest.Start(t, environ...)
				s.SignUp(t, ada)
				before, issuer = s.SignIn(t, ada), s.URL
			})
			downOne(t, name, url)
			s := apptest.Start(t, append(environ, "JOTGATE_PUBLIC_URL="+issuer)...)
			s.URL = "http://" + s.Addr
			if status := s.Call(t, http.MethodGet, "/v1/me", before.Access, nil, nil); status != http.StatusOK {
				t.Errorf("the access token: %d", status)
			}
			if status := s.Call(t, http.MethodPost, "/v1/refresh", "", map[string]string{"refresh_token": before.Refresh}, nil); status != http.StatusOK {
				t.Errorf("the refresh token: %d", status)
			}
			s.SignIn(t, ada)
		})
	}
}

func downOne(t *testing.T, name, url string) {
	t.Helper()
	driver, dialect, source := "pgx", goose.DialectPostgres, url
	if name == "sqlite" {
		driver, dialect, source = "sqlite", goose.DialectSQLite3, url[len("sqlite:"):]
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(dialect, pool, os.DirFS("../store/migrations/"+name), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
}

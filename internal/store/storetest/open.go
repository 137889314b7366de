package storetest

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/jotgate/jotgate/internal/store"
)

// Open opens the database at url and migrates it. It is closed when tb is over.
func Open(tb testing.TB, url string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return db
}

// OpenSQLite opens an empty SQLite database.
func OpenSQLite(tb testing.TB) *store.DB {
	tb.Helper()
	return Open(tb, "sqlite:"+filepath.Join(tb.TempDir(), "jotgate.db"))
}

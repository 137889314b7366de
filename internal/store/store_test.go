package store_test

import (
	"testing"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/storetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openSQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openPostgres)
}

func openSQLite(t *testing.T) *store.DB { t.Helper(); return storetest.OpenSQLite(t) }

func openPostgres(t *testing.T) *store.DB { t.Helper(); return storetest.Open(t, pgtest.DSN(t)) }

func open(tb testing.TB, url string) *store.DB { tb.Helper(); return storetest.Open(tb, url) }

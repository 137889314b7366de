// Package pgtest gives tests a PostgreSQL database of their own.
//
// It starts one private cluster for each test binary, from the programs that it
// finds, and stops it when the tests are over or the binary dies. It knows
// nothing of what is kept in a database.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/jotgate/jotgate/internal/needs"
)

// shared is the cluster of this test binary.
//
//nolint:gochecknoglobals // a cluster takes a second to start, so all tests of a binary use one
var shared struct {
	main    atomic.Bool
	once    sync.Once
	url     string
	cluster *Cluster
	how     string // a database is made
	err     error
	names   atomic.Int64
}

// Main runs the tests of a package that calls [DSN] and stops the cluster. Call
// it from TestMain.
func Main(m *testing.M) { os.Exit(Tests{m}.Run()) }

// Tests is Main for a package whose TestMain has to be somebody else's, who asks
// for no more than Run.
type Tests struct{ *testing.M }

// Run runs the tests, stops the cluster and returns the exit code.
func (t Tests) Run() int {
	shared.main.Store(true)
	code := t.M.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	return code
}

func stop() error {
	if shared.cluster == nil {
		return nil
	}
	return shared.cluster.Stop()
}

// DSN returns the URL of an empty database, which is dropped when tb is over. It
// skips tb where there is no PostgreSQL, or fails it if that is required
// ([needs.Missing]). JOTGATE_TEST_POSTGRES_DSN is the URL
// of a server to use instead of a cluster of its own.
func DSN(tb testing.TB) string {
	tb.Helper()
	if !shared.main.Load() {
		tb.Fatal("pgtest: TestMain of this package must call pgtest.Main or run pgtest.Tests")
	}
	shared.once.Do(func() {
		shared.url, shared.cluster, shared.err = server()
		if shared.err == nil {
			shared.how, shared.err = cheapest(tb.Context(), shared.url)
		}
	})
	switch {
	case errors.Is(shared.err, errNoPrograms):
		needs.Missing(tb, "postgres", "neither initdb is in PATH or /usr/lib/postgresql/*/bin nor JOTGATE_TEST_POSTGRES_DSN is set")
	case shared.err != nil:
		tb.Fatal("pgtest:", shared.err)
	}
	name := fmt.Sprintf("jotgate_test_%d_%d", os.Getpid(), shared.names.Add(1))
	if err := execute(tb.Context(), shared.url, "CREATE DATABASE "+name+shared.how); err != nil {
		tb.Fatal("pgtest:", err)
	}
	tb.Cleanup(func() {
		ctx := context.WithoutCancel(tb.Context())
		if err := execute(ctx, shared.url, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error("pgtest:", err)
		}
	})
	u, err := url.Parse(shared.url)
	if err != nil {
		tb.Fatal("pgtest: JOTGATE_TEST_POSTGRES_DSN must be a postgres:// URL")
	}
	u.Path = "/" + name
	return u.String()
}

func server() (string, *Cluster, error) {
	if dsn := os.Getenv("JOTGATE_TEST_POSTGRES_DSN"); dsn != "" { //nolint:forbidigo // tests have no configuration
		return dsn, nil, nil
	}
	c, err := start("off")
	if err != nil {
		return "", nil, err
	}
	return c.URL(), c, nil
}

// cheapest returns how the server makes an empty database with the least work. Since
// version 15 it writes each page into its log unless it is told not to.
func cheapest(ctx context.Context, dsn string) (how string, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	err = conn.QueryRow(ctx, "SELECT CASE WHEN current_setting('server_version_num')::int >= 150000 THEN ' STRATEGY FILE_COPY' ELSE '' END").Scan(&how)
	return how, errors.Join(err, conn.Close(ctx))
}

func execute(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

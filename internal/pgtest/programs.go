package pgtest

import (
	"errors"
	"syscall"
	"testing"

	"github.com/jotgate/jotgate/internal/needs"
)

// Programs returns the directory of PostgreSQL's programs and whom they run as,
// which is nil for the user who runs the tests. It is for tests that start
// servers of their own, and skips or fails tb as [DSN] does.
func Programs(tb testing.TB) (dir string, who *syscall.Credential) {
	tb.Helper()
	dir, err := programs()
	if errors.Is(err, errNoPrograms) {
		needs.Missing(tb, "postgres", "initdb is neither in PATH nor in /usr/lib/postgresql/*/bin")
	}
	if err == nil {
		who, err = account()
	}
	if err != nil {
		tb.Fatal("pgtest:", err)
	}
	return dir, who
}

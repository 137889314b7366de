package store_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/user"
)

func BenchmarkRotate(b *testing.B) {
	for _, dialect := range []struct {
		name string
		url  func(b *testing.B) string
	}{
		{"sqlite", func(b *testing.B) string { b.Helper(); return "sqlite:" + filepath.Join(b.TempDir(), "jotgate.db") }},
		{"postgres", func(b *testing.B) string { b.Helper(); return pgtest.DSN(b) }},
	} {
		for _, callers := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/callers=%d", dialect.name, callers), func(b *testing.B) {
				rotations(b, open(b, dialect.url(b)), callers)
			})
		}
	}
}

// rotations rotates one session for each caller.
func rotations(b *testing.B, db *store.DB, callers int) {
	b.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := db.Users().Create(b.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
		b.Fatal(err)
	}
	for i := range callers {
		if err := db.Sessions().Create(b.Context(), session.Session{
			ID: session.ID(fmt.Sprint(i)), UserID: "u", Mode: session.Bearer, CreatedAt: start, Generation: 1,
			LastUsedAt: start, ExpiresAt: start.Add(time.Hour), AbsoluteAt: start.Add(1000 * time.Hour),
		}); err != nil {
			b.Fatal(err)
		}
	}
	var next atomic.Int64
	b.SetParallelism(callers) // of GOMAXPROCS goroutines each; those without a session leave
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		id := next.Add(1) - 1
		if id >= int64(callers) {
			return
		}
		r := session.Rotation{
			ID: session.ID(fmt.Sprint(id)), UserID: "u", Mode: session.Bearer, At: start, IdleUntil: start.Add(time.Hour),
		}
		for pb.Next() {
			r.From++
			if _, _, err := db.RotateHolder(b.Context(), r, func(session.Session, user.User) {}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rotations/s")
}

func BenchmarkUserByID(b *testing.B) {
	db := open(b, "sqlite:"+filepath.Join(b.TempDir(), "jotgate.db"))
	if err := db.Users().Create(b.Context(), user.User{ID: "u", Username: "ada", Roles: []user.Role{"admin"}}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := db.Users().ByID(b.Context(), "u"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCopy copies 100,000 sessions of 1,000 users into an empty database, and
// copies again with nothing to do.
func BenchmarkCopy(b *testing.B) {
	path := filepath.Join(b.TempDir(), "jotgate.db")
	source := open(b, "sqlite:"+path)
	if _, err := source.SQLDB()["writer"].ExecContext(b.Context(), `
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO users (id, username, email_verified, roles, password_hash, disabled, created_at, tokens_valid_after)
	SELECT printf('0190%032d', i), 'u' || i, 0, '[]', '$argon2id$', 0, 1, 0 FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO sessions SELECT printf('0191%032d', i), printf('0190%032d', i % 1000 + 1), 'bearer', 'Phone', '192.0.2.1',
	'Mozilla/5.0 (X11; Linux x86_64)', 1, 1, 1, '', 100, 100, 0, '' FROM n`); err != nil {
		b.Fatal(err)
	}
	for range b.N {
		dsn := pgtest.DSN(b)
		for _, name := range []string{"first", "again"} {
			log := slog.New(slog.DiscardHandler)
			from, err := store.OpenToCopy(b.Context(), store.Config{URL: "sqlite:" + path, Logger: log})
			if err != nil {
				b.Fatal(err)
			}
			begin := time.Now()
			if _, err := (store.Copy{From: from, To: dsn, Apply: true, Logger: log, Now: time.Now}).Run(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(101_000/time.Since(begin).Seconds(), name+"-rows/s")
			if err := from.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

package store

import (
	"context"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

func openTest(t *testing.T, url string) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestRowsEqualColumns keeps the rows and the migrations of both databases the same.
func TestRowsEqualColumns(t *testing.T) {
	for _, tt := range []struct {
		name, columns string
		url           func(t *testing.T) string
	}{
		{
			"sqlite", "SELECT name FROM pragma_table_info(?)",
			func(t *testing.T) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "x.db") },
		},
		{
			"postgres", "SELECT column_name FROM information_schema.columns WHERE table_name = ?",
			func(t *testing.T) string { t.Helper(); return pgtest.DSN(t) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := openTest(t, tt.url(t))
			for _, row := range []any{userRow{}, attemptsRow{}, sessionRow{}, revocationRow{}, auditRow{}, keyRow{}, apiKeyRow{}, clientRow{}, installationRow{}, lifeRow{}} {
				s, err := schema.Parse(row, &sync.Map{}, db.writer.NamingStrategy)
				if err != nil {
					t.Fatal(err)
				}
				var columns []string
				if err := db.writer.Raw(tt.columns, s.Table).Scan(&columns).Error; err != nil {
					t.Fatal(err)
				}
				fields := slices.Clone(s.DBNames)
				slices.Sort(fields)
				slices.Sort(columns)
				if diff := cmp.Diff(columns, fields); diff != "" {
					t.Errorf("%s: -columns +fields:\n%s", s.Table, diff)
				}
			}
		})
	}
}

// recorder keeps the statements that GORM runs.
type recorder struct {
	slowLog
	statements []string
}

func (r *recorder) Trace(_ context.Context, _ time.Time, what func() (string, int64), _ error) {
	sql, _ := what()
	r.statements = append(r.statements, sql)
}

var byID = regexp.MustCompile(`\bid = \?`)

// TestNoStatementScans calls every method once and asks SQLite how it finds the
// rows, so that no table's growth makes anything slower.
func TestNoStatementScans(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	r := &recorder{slowLog: slowLog{slog.New(slog.DiscardHandler)}}
	db.writer.Logger, db.readers.Logger = r, r
	callAll(t, db)
	if len(r.statements) < 20 {
		t.Fatalf("only %d statements were recorded", len(r.statements))
	}
	for _, sql := range r.statements {
		var plan []string
		rows, err := db.SQLDB()["writer"].QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+sql, make([]any, strings.Count(sql, "?"))...) //nolint:sqlclosecheck // closed below, before the next statement
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		all := strings.Join(plan, "; ")
		mine := strings.Contains(sql, "user_id = ?") && !byID.MatchString(sql)
		switch {
		case strings.Contains(all, "SCAN"):
			t.Errorf("%s\nscans: %s", sql, all)
		case mine && !strings.Contains(all, "sessions_user_id"):
			t.Errorf("%s\ndoes not start from the user: %s", sql, all)
		case strings.Contains(sql, "DELETE") && strings.Contains(all, "TEMP B-TREE"):
			t.Errorf("%s\nsorts: %s", sql, all)
		}
	}
}

// callAll leaves out the signing keys and the lives of tokens, which are few and
// always read all.
func callAll(t *testing.T, db *DB) {
	t.Helper()
	ctx, now := t.Context(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	users, sessions, feed := db.Users(), db.Sessions(), db.Revocations()
	must(nil, users.Create(ctx, user.User{ID: "u", Username: "ada", Email: "ada@example.com"}))
	must(users.ByID(ctx, "u"))
	must(users.ByIdentifier(ctx, user.Identifier{Username: "ada"}))
	must(users.ByIdentifier(ctx, user.Identifier{Email: "ada@example.com"}))
	must(users.List(ctx, "", 9))
	disabled := true
	must(nil, users.Update(ctx, "u", user.Change{Disabled: &disabled}))
	must(nil, sessions.Create(ctx, session.Session{
		ID: "s", UserID: "u", Mode: session.Bearer, Generation: 1, ExpiresAt: now.Add(1000), AbsoluteAt: now.Add(1000),
	}))
	must(sessions.Rotate(ctx, session.Rotation{
		ID: "s", UserID: "u", Mode: session.Bearer, From: 1, At: now, IdleUntil: now.Add(time.Hour),
	}))
	must(sessions.ByID(ctx, "s"))
	must(sessions.Living(ctx, "u", now, 9))
	for _, w := range []session.Which{{ID: "s"}, {ID: "s", UserID: "u"}, {UserID: "u"}, {UserID: "u", Except: "s"}, {Before: now, Limit: 9}} {
		must(sessions.End(ctx, w, session.ReasonLogout, now))
	}
	must(sessions.Prune(ctx, now, 9))
	must(nil, feed.Append(ctx, []revocation.Entry{{Kind: revocation.Session, ID: "s"}}))
	must(feed.After(ctx, 0, 9))
	if _, _, err := feed.Head(ctx); err != nil {
		t.Fatal(err)
	}
	must(nil, feed.NextEpoch(ctx))
	must(feed.Prune(ctx, now, 9))
	must(nil, db.Audit().Append(ctx, audit.Event{Kind: audit.LoggedIn}))
	must(db.Audit().Prune(ctx, now, 9))
	for range 2 {
		must(db.Attempts().Charge(ctx, "b", user.Allowance{Burst: 1, Recovery: time.Minute}, now))
	}
	must(nil, db.Attempts().Clear(ctx, "b"))
	must(db.Attempts().Prune(ctx, now, 9))
	must(nil, users.Delete(ctx, "u"))
}

func TestSlowStatementsAreLoggedWithoutValues(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	var out strings.Builder
	log := config(slog.New(slog.NewTextHandler(&out, nil)), false).Logger
	db.readers.Logger = late{log}
	if err := db.readers.Exec("UPDATE users SET username = ?", "hidden").Error; err == nil {
		t.Fatal("a reader wrote")
	}
	if out.Len() > 0 {
		t.Errorf("a failure was logged: %s", &out)
	}
	if _, err := db.Users().List(t.Context(), "hidden", 9); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "SELECT") || strings.Contains(got, "hidden") {
		t.Errorf("log = %q", got)
	}
}

// late makes every statement look slow.
type late struct{ logger.Interface }

func (l late) Trace(ctx context.Context, begin time.Time, what func() (string, int64), err error) {
	l.Interface.Trace(ctx, begin.Add(-2*slow), what, err)
}

func (l late) ParamsFilter(ctx context.Context, sql string, params ...any) (string, []any) {
	if f, ok := l.Interface.(interface {
		ParamsFilter(ctx context.Context, sql string, params ...any) (string, []any)
	}); ok {
		return f.ParamsFilter(ctx, sql, params...)
	}
	return sql, params
}

// TestMigrationsKeepRows takes a database with rows down to the first migration
// and up again. The feed's numbers go on where they were.
func TestMigrationsKeepRows(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.DSN(t),
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t, url)
			if err := db.Users().Create(t.Context(), user.User{ID: "u", Username: "ada", ExternalID: "django:1"}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := db.Revocations().Append(t.Context(), []revocation.Entry{{Kind: revocation.Session, ID: "s", ExpiresAt: time.Unix(9, 0)}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.writer.Exec("DELETE FROM revocations").Error; err != nil {
				t.Fatal(err)
			}
			if err := db.migrator(t.Context(), func(p *goose.Provider, _ MigrationStatus) error {
				_, err := p.DownTo(t.Context(), 1)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, err := db.Users().ByID(t.Context(), "u")
			if want := (user.User{ID: "u", Username: "ada"}); err != nil || !cmp.Equal(got, want) {
				t.Errorf("user = %+v, %v; want %+v", got, err, want)
			}
			if err := db.Revocations().Append(t.Context(), []revocation.Entry{{Kind: revocation.All, ID: "all"}}); err != nil {
				t.Fatal(err)
			}
			feed, err := db.Revocations().After(t.Context(), 0, 9)
			if err != nil || len(feed) != 1 || feed[0].Seq != 4 {
				t.Errorf("feed = %+v, %v", feed, err)
			}
		})
	}
}

package store

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/user"
)

func openTest(t *testing.T, url string) *DB {
	t.Helper()
	return openConfigured(t, Config{URL: url})
}

func openConfigured(t *testing.T, c Config) *DB {
	t.Helper()
	c.Logger = slog.New(slog.DiscardHandler)
	db, err := Open(t.Context(), c)
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

package store

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

func begun() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// signedIn makes a user and a session of theirs for each id, at generation 1.
func signedIn(t *testing.T, db *DB, ids ...session.ID) {
	t.Helper()
	if err := db.Users().Create(t.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := db.Sessions().Create(t.Context(), session.Session{
			ID: id, UserID: "u", Mode: session.Bearer, Generation: 1, ExpiresAt: begun().Add(time.Hour), AbsoluteAt: begun().Add(9 * time.Hour),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// rotation is what a refresh asks for, an hour before the session expires.
func rotation(id session.ID, from session.Generation) session.Rotation {
	return session.Rotation{ID: id, UserID: "u", Mode: session.Bearer, From: from, Retry: "r", At: begun(), IdleUntil: begun().Add(2 * time.Hour)}
}

// TestRotationChangesNoIndex keeps what is written most from costing more than its row.
func TestRotationChangesNoIndex(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
		rows, err := db.SQLDB()["writer"].QueryContext(t.Context(), "EXPLAIN "+rotateHolderSQLite, rotationValues(rotation("s", 1))...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		inserts := 0
		for rows.Next() {
			var code string
			var other any
			if err := rows.Scan(&other, &code, &other, &other, &other, &other, &other, &other); err != nil {
				t.Fatal(err)
			}
			switch code {
			case "IdxInsert", "IdxDelete":
				t.Error(code)
			case "Insert":
				inserts++
			}
		}
		if err := rows.Err(); err != nil || inserts == 0 {
			t.Error(inserts, err)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		db := openTest(t, pgtest.DSN(t))
		signedIn(t, db, "s")
		const inPlace = "SELECT pg_stat_get_xact_tuples_hot_updated('sessions'::regclass)"
		if err := db.InTx(t.Context(), func(ctx context.Context) error {
			if _, _, err := db.RotateHolder(ctx, rotation("s", 1), unused); err != nil {
				return err
			}
			tx, _ := db.tx(ctx)
			var n int
			if err := tx.Raw(inPlace).Scan(&n).Error; err != nil || n != 1 {
				t.Errorf("%d rows were changed in place, %v", n, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPruneFindsWhatOlderProgramsMade has a session whose prune_at a program before
// migration 5 left at 0, at first before it is over.
func TestPruneFindsWhatOlderProgramsMade(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.DSN(t),
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t, url)
			signedIn(t, db, "s")
			if err := db.writer.Exec("UPDATE sessions SET prune_at = 0").Error; err != nil {
				t.Fatal(err)
			}
			expires := begun().Add(time.Hour)
			for _, step := range []struct {
				t          time.Time
				seen, left int64
			}{{expires, 1, 1}, {expires, 0, 1}, {expires.Add(1), 0, 1}, {expires.Add(time.Microsecond), 1, 0}} {
				seen, err := db.Sessions().Prune(t.Context(), step.t, 9)
				if err != nil {
					t.Fatal(err)
				}
				var left int64
				if err := db.writer.Raw("SELECT count(*) FROM sessions").Scan(&left).Error; err != nil || int64(seen) != step.seen || left != step.left {
					t.Errorf("at %v %d were seen and %d are left, %v", step.t, seen, left, err)
				}
			}
		})
	}
}

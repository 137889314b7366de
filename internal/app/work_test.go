package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store/storetest"
	"github.com/jotgate/jotgate/internal/user"
)

// TestPruningGoesOn has a table from which nothing can be deleted.
func TestPruningGoesOn(t *testing.T) {
	a := &App{db: storetest.OpenSQLite(t)}
	long := time.Now().Add(-365 * 24 * time.Hour)
	if err := a.db.Users().Create(t.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
		t.Fatal(err)
	}
	if err := a.db.Sessions().Create(t.Context(), session.Session{ID: "s", UserID: "u", Mode: session.Bearer, Generation: 1, ExpiresAt: long, AbsoluteAt: long}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.db.Attempts().Charge(t.Context(), "b", user.Allowance{Burst: 1, Recovery: time.Second}, long); err != nil {
		t.Fatal(err)
	}
	writer := a.db.SQLDB()["writer"]
	if _, err := writer.ExecContext(t.Context(), "CREATE TRIGGER stuck BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'stuck'); END"); err != nil {
		t.Fatal(err)
	}
	if err := a.pruneAll(t.Context()); err == nil || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("error = %v", err)
	}
	var left int
	if err := writer.QueryRowContext(t.Context(), "SELECT count(*) FROM password_attempts").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d attempts are left, %v", left, err)
	}
}

// TestWorkThatFailedIsTriedSoon has a database come back between two reloads of the keys.
func TestWorkThatFailedIsTriedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		begin, away := time.Now(), 90*time.Second
		var calls []time.Duration
		a.each(ctx, time.Minute, nil, "reload", func(context.Context) error {
			since := time.Since(begin)
			if since < away {
				return errors.New("away")
			}
			if calls = append(calls, since); len(calls) == 2 {
				stop()
			}
			return nil
		})
		if calls[0] > away+syncEach || calls[1] != calls[0]+time.Minute {
			t.Errorf("well after %s", calls)
		}
	})
}

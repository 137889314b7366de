package store

import (
	"context"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// TestStatementOutlivesADeadlock has one statement that ends sessions meet a transaction
// which holds one of them and wants another: PostgreSQL undoes the statement, which has
// waited for longer, and it is done all the same.
func TestStatementOutlivesADeadlock(t *testing.T) {
	t.Parallel()
	db := openTest(t, pgtest.DSN(t))
	now := time.Now()
	if err := db.Users().Create(t.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []session.ID{"a", "b"} {
		if err := db.Sessions().Create(t.Context(), session.Session{
			ID: id, UserID: "u", Mode: session.Bearer, Generation: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour), AbsoluteAt: now.Add(time.Hour),
		}); err != nil {
			t.Fatal(err)
		}
	}
	all := make(chan error, 1)
	err := db.InTx(t.Context(), func(ctx context.Context) error {
		if _, err := db.Sessions().ByID(ctx, "b"); err != nil {
			return err
		}
		go func() {
			_, err := db.Sessions().End(t.Context(), session.Which{UserID: "u"}, session.ReasonEpoch, now)
			all <- err
		}()
		waitForLock(t, db) // it holds a and waits for b
		_, err := db.Sessions().ByID(ctx, "a")
		return err
	})
	if err != nil {
		t.Errorf("the transaction: %v", err)
	}
	if err := <-all; err != nil {
		t.Errorf("the statement: %v", err)
	}
	if living, err := db.Sessions().Living(t.Context(), "u", now, 9); err != nil || len(living) > 0 {
		t.Errorf("%d sessions live, %v", len(living), err)
	}
}

// waitForLock returns when somebody waits for a row. It ends no test, since a transaction
// that holds it calls it.
func waitForLock(t *testing.T, db *DB) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(time.Millisecond) {
		var waiting int
		if err := db.SQLDB()["postgres"].QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting); err != nil {
			t.Errorf("look for who waits: %v", err)
			return
		}
		if waiting > 0 {
			return
		}
	}
	t.Error("nobody waits for a row")
}

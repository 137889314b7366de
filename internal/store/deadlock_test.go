package store

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// TestStatementOutlivesADeadlock has one statement that ends sessions meet a transaction
// which holds one of them and wants another: PostgreSQL undoes the statement, which has
// waited for longer, and it is done all the same. Where the transaction asks so late that
// PostgreSQL no longer looks on behalf of the statement, it is the one that is undone, and
// they meet again.
func TestStatementOutlivesADeadlock(t *testing.T) {
	t.Parallel()
	db := openTest(t, pgtest.DSN(t))
	if err := db.Users().Create(t.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for n := range 10 {
		transaction, statement := deadlock(t, db, now, strconv.Itoa(n))
		if statement != nil {
			t.Errorf("the statement: %v", statement)
		}
		if living, err := db.Sessions().Living(t.Context(), "u", now, 9); err != nil || len(living) > 0 {
			t.Errorf("%d sessions live, %v", len(living), err)
		}
		if !deadlocked(transaction) {
			if transaction != nil {
				t.Errorf("the transaction: %v", transaction)
			}
			return
		}
	}
	t.Error("it never was the statement that was undone")
}

// deadlock returns what became of a transaction and of a statement that waited for each
// other, over sessions whose names end in n.
func deadlock(t *testing.T, db *DB, now time.Time, n string) (transaction, statement error) {
	t.Helper()
	a, b := session.ID("a"+n), session.ID("b"+n)
	for _, id := range []session.ID{a, b} {
		if err := db.Sessions().Create(t.Context(), session.Session{
			ID: id, UserID: "u", Mode: session.Bearer, Generation: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour), AbsoluteAt: now.Add(time.Hour),
		}); err != nil {
			t.Fatal(err)
		}
	}
	all := make(chan error, 1)
	transaction = db.InTx(t.Context(), func(ctx context.Context) error {
		if _, err := db.Sessions().ByID(ctx, b); err != nil {
			all <- err
			return err
		}
		go func() {
			_, err := db.Sessions().End(t.Context(), session.Which{UserID: "u"}, session.ReasonEpoch, now)
			all <- err
		}()
		waitForLock(t, db) // it holds a and waits for b
		_, err := db.Sessions().ByID(ctx, a)
		return err
	})
	return transaction, <-all
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

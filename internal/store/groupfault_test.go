package store

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// TestCommitThatFails has a group of which SQLite refuses the commit: nobody in it is
// acknowledged, nor told of what is not there, and the next ones go on.
func TestCommitThatFails(t *testing.T) {
	t.Parallel()
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	results := grouped(t, db, add(db, 1), orphan(db), add(db, 1), add(db, 2))
	for i, err := range results {
		if err == nil || errors.Is(err, user.ErrIdentityTaken) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if got := users(t, db); got != "[]" {
		t.Errorf("users: %s", got)
	}
	if err := add(db, 3)(t.Context()); err != nil {
		t.Error(err)
	}
}

// orphan writes what SQLite refuses to commit.
func orphan(db *DB) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if err := write(ctx, db, "defer", func(ctx context.Context, q *gorm.DB) error {
			return q.WithContext(ctx).Exec("PRAGMA defer_foreign_keys = ON").Error
		}); err != nil {
			return err
		}
		return db.Sessions().Create(ctx, session.Session{ID: "s", UserID: "nobody", Mode: session.Bearer, Generation: 1})
	}
}

// TestWorkAheadOfTheCommit has one work on what it wrote before the commit, which fails:
// not while another of the group writes, and the error comes all the same.
func TestWorkAheadOfTheCommit(t *testing.T) {
	t.Parallel()
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	var wrote, worked, early atomic.Bool
	var failed error
	var wg sync.WaitGroup
	grouped(t, db, func(ctx context.Context) error {
		wg.Go(func() {
			failed = writeAhead(t.Context(), db, "add", func(context.Context, *gorm.DB) error {
				wrote.Store(true)
				return nil
			}, func() { worked.Store(true) })
		})
		waitFor(t, db, 1)
		wg.Go(func() {
			if err := db.InTx(t.Context(), func(context.Context) error {
				time.Sleep(50 * time.Millisecond)
				early.Store(!wrote.Load() || worked.Load())
				return nil
			}); err == nil {
				t.Error("a commit that was to fail did not")
			}
		})
		waitFor(t, db, 2)
		return orphan(db)(ctx)
	})
	wg.Wait()
	if early.Load() || !worked.Load() || failed == nil {
		t.Errorf("worked %t, before the other had written %t: %v", worked.Load(), early.Load(), failed)
	}
}

// TestBesideAnotherProcess has writes wait while another process writes, as the command
// line does: they come after it, or are told that the database is busy.
func TestBesideAnotherProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	db, other := openTest(t, "sqlite:"+path), openTest(t, "sqlite:"+path)
	patience := func(words string) {
		if _, err := db.SQLDB()["writer"].ExecContext(t.Context(), "PRAGMA busy_timeout = "+words); err != nil {
			t.Fatal(err)
		}
	}
	beside := func(from int, meanwhile func(they *sync.WaitGroup)) (errs []error) {
		errs = make([]error, 8)
		var wg sync.WaitGroup
		if err := other.InTx(t.Context(), func(ctx context.Context) error {
			for i := range errs {
				wg.Go(func() { errs[i] = db.InTx(t.Context(), add(db, from+i)) })
			}
			meanwhile(&wg)
			return add(other, from+100)(ctx)
		}); err != nil {
			t.Error(err)
		}
		wg.Wait()
		return errs
	}
	everybodyWaits := func(*sync.WaitGroup) { waitFor(t, db, 7) } // and one of them leads
	if err := errors.Join(beside(100, everybodyWaits)...); err != nil {
		t.Errorf("they waited: %v", err)
	}
	patience("10")
	for i, err := range beside(300, (*sync.WaitGroup).Wait) {
		if _, ok := errors.AsType[*UnavailableError](err); !ok {
			t.Errorf("write %d did not wait: %v", i, err)
		}
	}
	patience("5000")
	if err := add(db, 500)(t.Context()); err != nil {
		t.Error(err)
	}
	if got := users(t, db); got != "[100 101 102 103 104 105 106 107 200 400 500]" {
		t.Errorf("users: %s", got)
	}
}

// TestOutcomeComesBeforeTheEnd has members learn of the commit after the group is over.
func TestOutcomeComesBeforeTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		m := &member{result: make(chan error, 1)}
		m.result <- nil
		if err := m.outcome(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatOutlastsTheGroupIsUndone has a write, which nobody interrupts, go on for longer
// than its group may take.
func TestWhatOutlastsTheGroupIsUndone(t *testing.T) {
	t.Parallel()
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	if err := add(db, 1)(t.Context()); err != nil {
		t.Fatal(err)
	}
	patience := db.group.timeout
	db.group.timeout = 500 * time.Millisecond
	begun := errors.New("not begun")
	err := write(t.Context(), db, "disable all", func(ctx context.Context, q *gorm.DB) error {
		begun = q.WithContext(ctx).Exec("UPDATE users SET disabled = true").Error
		time.Sleep(time.Second)
		return begun
	})
	if begun != nil || !errors.Is(err, errStalled) {
		t.Errorf("a write that took too long: %v, %v", begun, err)
	}
	db.group.idle()
	db.group.timeout = patience
	if u, err := db.Users().ByID(t.Context(), "1"); err != nil || u.Disabled {
		t.Errorf("afterwards: %+v, %v", u, err)
	}
}

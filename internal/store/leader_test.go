package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/store"
)

const patience = 30 * time.Second

// lead is AsLeader where leading is expected or not. PostgreSQL needs a moment to
// part with the connection of the one before.
func lead(t *testing.T, db *store.DB, d store.Duty, want bool, f func(context.Context) error) {
	t.Helper()
	led, err := db.AsLeader(t.Context(), d, f)
	for begin := time.Now(); want && !led && err == nil && time.Since(begin) < patience; time.Sleep(time.Millisecond) {
		led, err = db.AsLeader(t.Context(), d, f)
	}
	if led != want || err != nil {
		t.Errorf("AsLeader = %t, %v; want %t", led, err, want)
	}
}

func nothing(context.Context) error { return nil }

func TestOneIsLeader(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	one, two := open(t, dsn), open(t, dsn)
	boom := errors.New("boom")
	if led, err := one.AsLeader(t.Context(), store.Pruning, func(context.Context) error { return boom }); !led || !errors.Is(err, boom) {
		t.Errorf("AsLeader = %t, %v; want boom", led, err)
	}
	lead(t, one, store.Pruning, true, func(context.Context) error {
		lead(t, two, store.Pruning, false, func(context.Context) error {
			t.Error("two lead at once")
			return nil
		})
		lead(t, one, store.Pruning, false, nothing) // nor the same one twice
		lead(t, two, store.Rotating, true, nothing)
		return nil
	})
	lead(t, two, store.Pruning, true, nothing)
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic was swallowed")
			}
		}()
		lead(t, one, store.Pruning, true, func(context.Context) error { panic("boom") })
	}()
	lead(t, two, store.Pruning, true, nothing)
}

func TestManyTryAndOneIsLeader(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.DSN(t))
	var leading, led atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			_, err := db.AsLeader(t.Context(), store.Rotating, func(context.Context) error {
				if leading.Add(1) > 1 {
					t.Error("two lead at once")
				}
				led.Add(1)
				time.Sleep(time.Millisecond)
				leading.Add(-1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if led.Load() == 0 {
		t.Error("nobody led")
	}
}

// TestLeaderDies kills the connection under a leader, which learns of it and
// whose duty is somebody else's at once.
func TestLeaderDies(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	one, two := open(t, dsn), open(t, dsn)
	admin, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	led, err := one.AsLeader(t.Context(), store.Pruning, func(ctx context.Context) error {
		tag, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks
			WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
		if err != nil || tag.RowsAffected() != 1 {
			t.Errorf("kill the leader: %v, %v", tag, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(patience):
			t.Error("the leader does not learn that its connection is gone")
		}
		return ctx.Err()
	})
	if !led {
		t.Error("it did not lead")
	}
	wantUnavailable(t, err)
	lead(t, two, store.Pruning, true, nothing)
	lead(t, one, store.Pruning, true, nothing)
	if err := admin.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLeaderWithoutDatabase(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.DSN(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if led, err := db.AsLeader(ctx, store.Pruning, nothing); led || !errors.Is(err, context.Canceled) {
		t.Errorf("AsLeader = %t, %v", led, err)
	}
}

func TestOnSQLiteEverybodyIsLeader(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	lead(t, db, store.Pruning, true, func(context.Context) error {
		lead(t, db, store.Pruning, true, nothing)
		return nil
	})
}

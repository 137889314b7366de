package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/user"
)

// TestDeadlineBehindAnotherProcess holds that a write's caller waits no longer than they
// want to, though SQLite waits for another process that writes.
func TestDeadlineBehindAnotherProcess(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	db, other := openTest(t, url), openTest(t, url)
	write := func(ctx context.Context, name user.Username) error {
		return db.Users().Create(ctx, user.User{ID: user.ID(name), Username: name})
	}
	if err := other.InTx(t.Context(), func(context.Context) error {
		for _, w := range []func(context.Context) error{
			func(ctx context.Context) error { return write(ctx, "ada") },
			func(ctx context.Context) error {
				return db.InTx(ctx, func(ctx context.Context) error { return write(ctx, "bob") })
			},
			db.Ping,
		} {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			err := w(ctx)
			cancel()
			if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took > 2*time.Second {
				t.Errorf("after %s: %v", took, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), "cy"); err != nil {
		t.Fatal("afterwards:", err)
	}
	if got := users(t, db); got != "[cy]" {
		t.Errorf("users: %s; what was given up is there", got)
	}
}

package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

func txTests() []test {
	return []test{
		{"commits all or nothing", txAtomic},
		{"a panic rolls back", txPanic},
		{"a nested one joins", txNested},
		{"reads its own writes, unseen by others", txIsolated},
		{"its error is the function's own", txError},
		{"a caller who gave up is told so", txCancelled},
		{"a context that ended does nothing", txEnded},
		{"it holds a session that it looked at", txHoldsSession},
	}
}

// everything writes through every store.
func (k kit) everything(ctx context.Context) error {
	u := user.User{ID: "u", Username: "u"}
	s := k.opened(u)
	s.ID = "s"
	_, charged := k.db.Attempts().Charge(ctx, "b", allowance(), epoch())
	return errors.Join(
		charged, k.db.Users().Create(ctx, u), k.db.Sessions().Create(ctx, s),
		k.db.Audit().Append(ctx, audit.Event{At: epoch(), Kind: audit.Registered}),
		k.db.Revocations().Append(ctx, []revocation.Entry{entry("r", epoch())}),
	)
}

// left returns how many of the five rows of everything are there, and deletes
// what it counts by deleting.
func (k kit) left() int {
	k.Helper()
	n := 0
	if _, err := k.db.Users().ByID(k.Context(), "u"); !errors.Is(err, user.ErrNotFound) {
		k.must(err)
		n++
	}
	if _, err := k.db.Sessions().ByID(k.Context(), "s"); !errors.Is(err, session.ErrNotFound) {
		k.must(err)
		n++
	}
	feed, err := k.db.Revocations().After(k.Context(), 0, 9)
	k.must(err)
	n += len(feed)
	for _, prune := range []func(context.Context, time.Time, int) (int, error){k.db.Audit().Prune, k.db.Attempts().Prune} {
		pruned, err := prune(k.Context(), epoch().Add(time.Hour), 9)
		k.must(err)
		n += pruned
	}
	return n
}

func txAtomic(k kit) {
	boom := errors.New("boom")
	k.wantErr(k.db.InTx(k.Context(), func(ctx context.Context) error {
		return errors.Join(k.everything(ctx), boom)
	}), boom)
	k.equal(k.left(), 0)
	k.must(k.db.InTx(k.Context(), k.everything))
	k.equal(k.left(), 5)
}

func txPanic(k kit) {
	func() {
		defer func() {
			if p := recover(); p != "boom" {
				k.Errorf("recovered %v", p)
			}
		}()
		k.must(k.db.InTx(k.Context(), func(ctx context.Context) error {
			k.must(k.everything(ctx))
			panic("boom")
		}))
	}()
	k.equal(k.left(), 0)
	k.must(k.everything(k.Context())) // the connection is free again
}

func txNested(k kit) {
	boom := errors.New("boom")
	k.wantErr(k.db.InTx(k.Context(), func(ctx context.Context) error {
		k.must(k.db.InTx(ctx, k.everything))
		return boom
	}), boom)
	k.equal(k.left(), 0)
	k.must(k.db.InTx(k.Context(), func(ctx context.Context) error { return k.db.InTx(ctx, k.everything) }))
	k.equal(k.left(), 5)
}

func txIsolated(k kit) {
	k.must(k.db.InTx(k.Context(), func(ctx context.Context) error {
		k.must(k.everything(ctx))
		_, err := k.db.Users().ByID(ctx, "u")
		k.must(err)
		_, err = k.db.Users().ByID(k.Context(), "u")
		k.wantErr(err, user.ErrNotFound)
		return nil
	}))
}

func txError(k kit) {
	k.user("ada")
	err := k.db.InTx(k.Context(), func(ctx context.Context) error {
		return k.db.Users().Create(ctx, user.User{ID: "x", Username: "ada"})
	})
	if err != user.ErrIdentityTaken { //nolint:errorlint // not even wrapped
		k.Errorf("error = %v", err)
	}
}

func txCancelled(k kit) {
	ctx, cancel := context.WithCancel(k.Context())
	err := k.db.InTx(ctx, func(ctx context.Context) error {
		k.must(k.everything(ctx))
		cancel()
		return nil
	})
	k.wantErr(err, context.Canceled)
	if unavailable(err) {
		k.Errorf("%v blames the database", err)
	}
	err = k.db.InTx(k.Context(), func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return k.everything(ctx)
	})
	k.wantErr(err, context.Canceled)
	k.equal(k.left(), 0)
}

func txEnded(k kit) {
	ctx, cancel := context.WithCancel(k.Context())
	cancel()
	for _, err := range []error{
		k.everything(ctx),
		k.db.InTx(ctx, func(context.Context) error { return nil }),
		k.db.Ping(ctx),
	} {
		k.wantErr(err, context.Canceled)
	}
	k.equal(k.left(), 0)
	k.must(k.db.Ping(k.Context()))
}

func txHoldsSession(k kit) {
	s := k.session(k.user("ada"))
	over := make(chan error, 1)
	k.must(k.db.InTx(k.Context(), func(ctx context.Context) error {
		if _, err := k.db.Sessions().ByID(ctx, s.ID); err != nil {
			return err
		}
		go func() {
			ended, err := k.db.Sessions().End(k.Context(), session.Which{ID: s.ID}, session.ReasonLogout, epoch())
			if err == nil && len(ended) != 1 {
				err = session.ErrNotFound
			}
			over <- err
		}()
		select {
		case err := <-over:
			k.Fatalf("it ended before the transaction did: %v", err)
		case <-time.After(500 * time.Millisecond):
		}
		return nil
	}))
	k.must(<-over)
}

package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

const (
	syncEach = time.Second
	// gather is the least pause between two reads of the feed of revocations. What
	// comes in the meantime is read, and told to followers, together.
	gather    = 200 * time.Millisecond
	pruneEach = time.Minute
	// KeepOver is how long sessions and API keys stay after they are over. They are
	// dead at once; what a client that comes late is told does not depend on it.
	KeepOver = 24 * time.Hour
	// KeepRevoked is how long the feed keeps what no token is left of. A clock that was
	// ahead and is put right makes tokens good again, and what revoked them has to be there.
	KeepRevoked = 26 * time.Hour
)

// work is everything that runs beside the requests, until ctx ends.
func (a *App) work(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { a.db.Listen(ctx, a.feed.Wake) })
	loops.Go(func() { a.each(ctx, syncEach, a.feed.Wanted(), "sync revocations", a.follow(time.Now)) })
	loops.Go(func() { a.each(ctx, a.pace.ReloadEach, nil, "reload signing keys", a.Keys.Reload) })
	loops.Go(func() { a.each(ctx, a.pace.ReloadEach, nil, "rotate signing keys", a.rotateKeys) })
	loops.Go(func() { a.each(ctx, a.pace.ReloadEach, nil, "note how long tokens live", a.noteLife) })
	loops.Go(func() { a.each(ctx, pruneEach, nil, "prune", a.prune) })
	loops.Wait()
}

// follow returns what reads the feed. It notes at once that the clock was set forward:
// when it is put right, whoever ends something has to know how late tokens are dated.
func (a *App) follow(now func() time.Time) func(ctx context.Context) error {
	last := now().Round(0)
	return func(ctx context.Context) error {
		at := now().Round(0)
		var failed error
		if at.Sub(last) > clockSkew {
			failed = a.noteLife(ctx)
		}
		if failed == nil {
			last = at
		}
		return errors.Join(failed, a.feed.Sync(ctx))
	}
}

// each calls f once in a while, within gather when it is wanted, and within syncEach
// after it failed: a replica that was cut off may sign with a key that is gone. It logs
// the first failure of a row, and its end.
func (a *App) each(ctx context.Context, pause time.Duration, wanted <-chan struct{}, what string, f func(context.Context) error) {
	failing := false
	for {
		rest := pause
		if failing {
			rest = min(pause, syncEach)
		}
		tick := time.NewTimer(rest)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-wanted:
			tick.Stop()
		}
		err := f(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			a.log.ErrorContext(ctx, "background work fails", slog.String("work", what), slog.Any("err", err))
		case err == nil && failing:
			a.log.InfoContext(ctx, "background work is well again", slog.String("work", what))
		}
		failing = err != nil
		if wanted == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gather):
		}
	}
}

// prune deletes what nothing needs any more, if no other replica is at it.
func (a *App) prune(ctx context.Context) error {
	_, err := a.db.AsLeader(ctx, store.Pruning, a.pruneAll)
	return err
}

// pruneAll deletes in small steps. What fails for one table keeps no other from it.
func (a *App) pruneAll(ctx context.Context) error {
	var errs []error
	now := time.Now()
	for _, p := range []struct {
		before time.Time
		delete func(ctx context.Context, before time.Time, limit int) (int, error)
	}{
		{now.Add(-KeepOver), a.db.Sessions().Prune},
		{now.Add(-KeepRevoked), a.db.Revocations().Prune},
		{now, a.db.Attempts().Prune},
		{now.Add(-KeepOver), a.db.APIKeys().Prune},
		{now.Add(-a.config.Audit.Retention), a.db.Audit().Prune},
		{now.Add(-leeway - livesLate), a.db.TokenLives().Prune},
	} {
		errs = append(errs, a.db.InSlices(ctx, func(ctx context.Context, limit int) (int, error) {
			return p.delete(ctx, p.before, limit)
		}))
	}
	return errors.Join(errs...)
}

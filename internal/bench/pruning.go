package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

const (
	// watched is how many rounds' time each kind of slice is watched for.
	watched = 2
	// stillCalm is how long after its start the program does not prune, and firstPruned
	// when it does so at the latest.
	stillCalm   = 55 * time.Second
	firstPruned = 90 * time.Second
	// besideRate is how many verified requests a second are sent beside the pruner.
	besideRate = 200
)

// expiredDue counts the expired sessions that wait for the pruner. It goes by the pruner's
// index: nothing else would be quick enough to see when it begins.
const expiredDue = "SELECT count(*) FROM sessions WHERE ended_at = 0 AND prune_at < $1"

// beside is what rounds of requests came to.
type beside struct {
	refreshes     *measured
	verified, p99 []float64
}

func (r *beside) round(ctx context.Context, length time.Duration, verified same) error {
	if err := r.refreshes.round(ctx, length); err != nil {
		return err
	}
	l, err := pace(ctx, r.refreshes.addr, besideRate, length, times(connections, verified))
	if err != nil {
		return err
	}
	r.verified, r.p99 = append(r.verified, ms(l.p50)), append(r.p99, ms(l.p99))
	return nil
}

// prunedBeside measures requests before the program prunes for the first time, and while
// it does.
func (g *ground) prunedBeside(ctx context.Context) (err error) {
	if g.b.quick {
		g.b.row("requests beside the pruner, "+g.kind, "not measured: it first prunes a minute after its start")
		return nil
	}
	db, err := openSQL(g.url(many))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return g.with(ctx, many, func(c *child) error { return g.beside(ctx, db, c.addr) })
}

func (g *ground) beside(ctx context.Context, db *sql.DB, addr string) error {
	started := time.Now()
	people, err := newCrowd(ctx, addr, g.users)
	if err != nil {
		return err
	}
	t, err := signIn(addr, 1)
	if err != nil {
		return err
	}
	var calm, pruned beside
	calm.refreshes, pruned.refreshes = people.refreshes, &measured{addr: addr, asks: people.refreshes.asks}
	before, err := g.stillDue(ctx, db)
	if err != nil {
		return err
	}
	for n := 0; n < g.b.rounds && time.Since(started) < stillCalm-3*g.b.length; n++ {
		if err := calm.round(ctx, g.b.length, t[0].forwardAuth()); err != nil {
			return err
		}
	}
	if len(calm.verified) == 0 {
		return errors.New("signing in left no time for a round before the pruner")
	}
	if err := g.awaitPruner(ctx, db, before, started); err != nil {
		return err
	}
	return g.besidePruner(ctx, db, &calm, &pruned, t[0].forwardAuth())
}

// awaitPruner waits until fewer are due than before. It fails if that is so already: then
// the calm rounds were not.
func (g *ground) awaitPruner(ctx context.Context, db *sql.DB, before int, started time.Time) error {
	now, err := g.stillDue(ctx, db)
	if err == nil && now != before {
		return errors.New("the pruner was at work before it was expected")
	}
	for ; err == nil && now == before; now, err = g.stillDue(ctx, db) {
		if time.Since(started) > firstPruned {
			return errors.New("nothing was pruned")
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

func (g *ground) besidePruner(ctx context.Context, db *sql.DB, calm, pruned *beside, verified same) error {
	first, err := g.stillDue(ctx, db)
	if err != nil {
		return err
	}
	begin := time.Now()
	for range calm.verified {
		if err := pruned.round(ctx, g.b.length, verified); err != nil {
			return err
		}
	}
	last, err := g.stillDue(ctx, db)
	if err != nil {
		return err
	}
	if last == 0 {
		return errors.New("no rows are left: the pruner was done too soon")
	}
	rate := float64(first-last) / time.Since(begin).Seconds()
	a, z := calm.refreshes, pruned.refreshes
	g.b.add("POST /v1/refresh beside the pruner, p50, "+g.kind, fmt.Sprintf("p50 %.2f ms; without %.2f ms; %.0f sessions/s are pruned meanwhile",
		median(z.p50s), median(a.p50s), rate), shares(z.p50s, a.p50s), "of what it is without", atMost(flat))
	g.b.add("the same, p99, "+g.kind, fmt.Sprintf("p99 %.1f ms; without %.1f ms", median(z.p99), median(a.p99)),
		shares(z.p99, a.p99), "of what it is without", target{})
	g.b.add(fmt.Sprintf("%d verified requests/s beside the pruner, p50, %s", besideRate, g.kind),
		fmt.Sprintf("p50 %.2f ms, p99 %.1f ms; without p50 %.2f ms, p99 %.1f ms", median(pruned.verified), median(pruned.p99), median(calm.verified), median(calm.p99)),
		shares(pruned.verified, calm.verified), "of what it is without", atMost(flat))
	return nil
}

func (g *ground) stillDue(ctx context.Context, db *sql.DB) (n int, err error) {
	err = db.QueryRowContext(ctx, expiredDue, g.ago(keptOver)).Scan(&n)
	return n, err
}

// slices prunes for a while, as the program does but beside nobody, and says how long one
// delete has the one writer of SQLite to itself. Nothing is due after it.
func (g *ground) slices(ctx context.Context) error {
	if err := g.pruneAlone(ctx); err != nil {
		return err
	}
	return empty(ctx, g.url(many), g.overdue())
}

func (g *ground) pruneAlone(ctx context.Context) (err error) {
	db, err := store.Open(ctx, store.Config{URL: g.url(many), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, p := range []struct {
		what  string
		until time.Duration
		prune func(ctx context.Context, before time.Time, limit int) (int, error)
	}{
		{"sessions", keptOver, db.Sessions().Prune},
		{"revocations", keptRevoked, db.Revocations().Prune},
		{"audit events", keptAudit, db.Audit().Prune},
	} {
		del := func(ctx context.Context, limit int) (int, error) { return p.prune(ctx, g.now.Add(-p.until), limit) }
		took, rows, err := watch(ctx, db, time.Duration(watched*g.b.rounds)*g.b.length, del)
		if err != nil {
			return err
		}
		l := summary(took)
		g.b.add(fmt.Sprintf("one delete of %s by the pruner, p99, %s", p.what, g.kind),
			fmt.Sprintf("%d rows each: p50 %.1f ms, p99 %.1f ms, most %.1f ms", rows/len(took), ms(l.p50), ms(l.p99), ms(l.most)),
			[]float64{ms(l.p99)}, milliseconds, target{})
	}
	return nil
}

// overdue are the statements that delete at once what is left for the pruner.
func (g *ground) overdue() []string {
	return []string{
		fmt.Sprintf("DELETE FROM sessions WHERE ended_at = 0 AND expires_at < %d", g.ago(keptOver)),
		fmt.Sprintf("DELETE FROM sessions WHERE ended_at > 0 AND ended_at < %d", g.ago(keptOver)),
		fmt.Sprintf("DELETE FROM revocations WHERE expires_at < %d", g.ago(keptRevoked)),
		fmt.Sprintf("DELETE FROM audit_events WHERE at < %d", g.ago(keptAudit)),
	}
}

// watch deletes in slices for a while, and returns how long each took, and how many rows
// they were in all.
func watch(
	ctx context.Context, db *store.DB, length time.Duration, del func(ctx context.Context, limit int) (int, error),
) (took []time.Duration, rows int, err error) {
	watching, stop := context.WithTimeout(ctx, length)
	defer stop()
	err = db.InSlices(watching, func(_ context.Context, limit int) (int, error) {
		begin := time.Now()
		n, err := del(ctx, limit)
		took, rows = append(took, time.Since(begin)), rows+n
		return n, err
	})
	return took, rows, err
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"gorm.io/gorm"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// groupMembers and groupSpan bound a group: other processes wait for it.
	groupMembers = 64
	groupSpan    = 25 * time.Millisecond
	// groupStatements bounds the statements that are kept prepared.
	groupStatements = 128
)

// group lets writes that wait for SQLite's one writer share a transaction, and so one
// fsync. Who finds the writer free goes at once, and takes along whoever is on the way
// already; who comes during the commit is in the next group. Each member runs in the
// caller's goroutine, one after another, behind a savepoint, so that one that fails is
// undone alone. Nobody gets an answer before the commit.
type group struct {
	pool    *sql.DB
	gorm    *gorm.DB
	timeout time.Duration // of a whole group
	span    time.Duration

	mu      sync.Mutex
	waiting []*member
	leading chan struct{} // nil while nobody leads, and closed when they are through

	statements map[string]*sql.Stmt // belongs to who leads
}

// task is what a member does.
type task struct {
	f func(ctx context.Context, tx *gorm.DB) error
	// single is one statement, which SQLite undoes by itself if it fails, and nobody interrupts.
	single bool
	// ahead, if any, runs while the group commits what f wrote.
	ahead func()
}

// member is one write.
type member struct {
	task

	ctx    context.Context //nolint:containedctx // the caller's, whose values a group's transaction takes on
	turn   chan part
	over   chan error // how its part went
	result chan error // what became of the commit
}

// part is a member's turn within a group's transaction.
type part struct {
	ctx context.Context //nolint:containedctx // the group's, handed to the member
	tx  *gorm.DB
	// full is closed when all have had their turns.
	full <-chan struct{}
}

// errAlongside is a write that was undone because another one in its transaction broke
// the transaction, or that one's commit.
var errAlongside = errors.New("store: the transaction broke")

var errPanicked = errors.New("store: panicked")

func newGroup(pool *sql.DB, writer *gorm.DB, timeout time.Duration) *group {
	return &group{pool: pool, gorm: writer, timeout: timeout, span: groupSpan, statements: map[string]*sql.Stmt{}}
}

// do runs f of t in a transaction that others may share, and returns the error of the
// commit, or f's: one that f failed for may be what others wrote, and is not so before their
// commit. f gets a context with ctx's values that does not end with ctx, because
// interrupting a statement would undo what others wrote. What f wrote is undone if ctx
// has ended when f is through, unless it is single.
func (g *group) do(ctx context.Context, t task) error {
	m := &member{task: t, ctx: ctx, turn: make(chan part, 1), over: make(chan error, 1), result: make(chan error, 1)}
	g.join(m) //nolint:contextcheck // it outlives this call
	var p part
	select {
	case p = <-m.turn:
	case err := <-m.result: // the transaction could not begin
		return err
	case <-ctx.Done():
		if g.leave(m) {
			return context.Cause(ctx)
		}
		select {
		case p = <-m.turn: // at the same moment
		case err := <-m.result:
			return err
		default: // its group waits for another process; there is nothing to do in its turn
			m.over <- context.Cause(ctx)
			return context.Cause(ctx)
		}
	}
	failed := m.run(p) //nolint:contextcheck // m has it
	if failed == nil && m.ahead != nil {
		m.await(p)
		m.ahead()
	}
	if err := m.outcome(p.ctx); err != nil { //nolint:contextcheck // the group's
		return err
	}
	return failed
}

// await leaves the processor to those who have yet to write.
func (m *member) await(p part) {
	select {
	case <-p.full:
	case <-p.ctx.Done():
	}
}

// outcome waits for the commit, and no longer than the group is allowed to take. The end
// of the group ends its context too, and comes after the result.
func (m *member) outcome(group context.Context) error {
	select {
	case err := <-m.result:
		return err
	case <-group.Done():
	}
	select {
	case err := <-m.result:
		return err
	default:
		return context.Cause(group)
	}
}

// run tells how it went even if f panics. Who has gone while waiting does not begin.
func (m *member) run(p part) error {
	err := errPanicked
	defer func() { m.over <- err }()
	if gone := context.Cause(m.ctx); gone != nil {
		err = gone
		return err
	}
	var ctx context.Context = within{p.ctx, m.ctx}
	if m.single { // it waits for nobody, and being ready to interrupt it is a part of what it costs
		ctx = context.WithoutCancel(ctx)
	}
	if err = m.f(ctx, p.tx); err == nil && !m.single && m.ctx.Err() != nil {
		err = context.Cause(m.ctx)
	}
	return err
}

// within has the values of one context and the end of another.
type within struct {
	context.Context //nolint:containedctx // that is what it is for

	values context.Context //nolint:containedctx // the same
}

func (w within) Value(key any) any { return w.values.Value(key) }

func (g *group) join(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, m)
	if g.leading == nil {
		g.leading = make(chan struct{})
		go g.lead()
	}
}

// idle returns when nobody leads, and after a group's time-out in any case: the leader
// uses the connection for a while after the last member has its answer.
func (g *group) idle() {
	g.mu.Lock()
	through := g.leading
	g.mu.Unlock()
	if through == nil {
		return
	}
	select {
	case <-through:
	case <-time.After(g.timeout):
	}
}

// leave takes m from the queue, or reports that it is in it no longer.
func (g *group) leave(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting {
		if other == m {
			g.waiting = append(g.waiting[:i:i], g.waiting[i+1:]...)
			return true
		}
	}
	return false
}

func (g *group) next() (m *member, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		return nil, false
	}
	m, g.waiting = g.waiting[0], g.waiting[1:]
	return m, true
}

// lead commits groups until nobody waits.
func (g *group) lead() {
	for {
		g.commit()
		g.mu.Lock()
		if len(g.waiting) == 0 {
			close(g.leading)
			g.leading = nil
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
	}
}

// commit is one group.
func (g *group) commit() {
	first, ok := g.next()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(first.ctx), g.timeout, errStalled)
	defer cancel()
	tx, err := g.pool.BeginTx(ctx, nil)
	if err != nil {
		first.result <- err
		g.refuse(err)
		return
	}
	conns := &preparing{Tx: tx, statements: g.statements}
	q := g.gorm.Session(&gorm.Session{NewDB: true, Context: ctx})
	q.Statement.ConnPool = conns
	members, wrote, err := g.collect(ctx, first, tx, q)
	if err == nil && wrote {
		err = tx.Commit()
	}
	if err != nil || !wrote {
		g.rollback(tx)
	}
	for _, m := range members {
		m.result <- err
	}
	g.prepare(ctx, conns.wanted)
}

// refuse tells all who wait that there is no transaction.
func (g *group) refuse(err error) {
	for m, ok := g.next(); ok; m, ok = g.next() {
		m.result <- err
	}
}

// rollback leaves the connection without a transaction, whatever it was that failed.
func (g *group) rollback(tx *sql.Tx) {
	if tx.Rollback() == nil {
		return
	}
	// After a commit that failed it is over for database/sql, and may not be for SQLite.
	// That there is none is the good case.
	_, _ = g.pool.ExecContext(context.Background(), "ROLLBACK") //nolint:errcheck // see above
}

// collect gives first and then others their turns, and returns all that had one, and
// whether there is something to commit. An error means that the transaction is broken.
func (g *group) collect(ctx context.Context, first *member, tx *sql.Tx, q *gorm.DB) (members []*member, wrote bool, err error) {
	begin := time.Now() //nolint:forbidigo // for a span
	full := make(chan struct{})
	defer close(full)
	turn := part{ctx, q, full}
	members = []*member{first}
	first.turn <- turn
	if failed := <-first.over; failed != nil {
		return members, false, nil // it was alone, and goes with the transaction
	}
	for len(members) < groupMembers && time.Since(begin) < g.span {
		m, ok := g.next()
		if !ok {
			// Who can run may be about to write. Nobody else has to wait for them.
			runtime.Gosched()
			if m, ok = g.next(); !ok {
				break
			}
		}
		members = append(members, m)
		if err := m.behind(tx, turn); err != nil {
			return members, false, fmt.Errorf("%w: %w", errAlongside, err)
		}
	}
	return members, true, nil
}

// behind gives m its turn after others. An error means that the transaction is broken for
// all.
func (m *member) behind(tx *sql.Tx, turn part) error {
	savepoint := func(words string) error {
		if m.single {
			return nil
		}
		_, err := tx.ExecContext(turn.ctx, words)
		return err
	}
	if err := savepoint("SAVEPOINT member"); err != nil {
		return err
	}
	m.turn <- turn
	failed := <-m.over
	switch {
	case failed == nil:
		return savepoint("RELEASE member")
	case breaks(failed) || turn.ctx.Err() != nil:
		return failed
	}
	return savepoint("ROLLBACK TO member; RELEASE member")
}

// breaks reports whether SQLite may have undone the whole transaction: it does for some
// failures, and never for a constraint.
func breaks(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff != sqlite3.SQLITE_CONSTRAINT
}

// prepare keeps statements for the next groups. Within a transaction it would wait for
// the connection that the transaction has.
func (g *group) prepare(ctx context.Context, wanted []string) {
	for _, query := range wanted {
		if g.statements[query] != nil || len(g.statements) >= groupStatements {
			continue
		}
		if s, err := g.pool.PrepareContext(ctx, query); err == nil { //nolint:sqlclosecheck // it stays as long as the pool
			g.statements[query] = s
		}
	}
}

// preparing is a transaction that uses the statements which are prepared. It is for one
// goroutine at a time. What it makes of a statement is closed with the transaction.
type preparing struct {
	*sql.Tx

	statements map[string]*sql.Stmt
	wanted     []string
}

var _ gorm.ConnPool = (*preparing)(nil)

func (p *preparing) prepared(ctx context.Context, query string) *sql.Stmt {
	if s := p.statements[query]; s != nil {
		return p.StmtContext(ctx, s)
	}
	p.wanted = append(p.wanted, query)
	return nil
}

// ExecContext implements [gorm.ConnPool].
func (p *preparing) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s := p.prepared(ctx, query); s != nil { //nolint:sqlclosecheck // see above
		return s.ExecContext(ctx, args...)
	}
	return p.Tx.ExecContext(ctx, query, args...)
}

// QueryContext implements [gorm.ConnPool].
func (p *preparing) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s := p.prepared(ctx, query); s != nil { //nolint:sqlclosecheck // see above
		return s.QueryContext(ctx, args...)
	}
	return p.Tx.QueryContext(ctx, query, args...)
}

// QueryRowContext implements [gorm.ConnPool].
func (p *preparing) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := p.prepared(ctx, query); s != nil { //nolint:sqlclosecheck // see above
		return s.QueryRowContext(ctx, args...)
	}
	return p.Tx.QueryRowContext(ctx, query, args...)
}

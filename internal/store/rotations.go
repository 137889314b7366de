package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"
)

const (
	// batchesAtOnce lets one batch be sent while another one is committed.
	batchesAtOnce = 2
	// batchMembers bounds what is sent before an answer is read.
	batchMembers = 64
	// rotateHolderFree is rotateHolder that finds nothing where it would wait for another
	// transaction.
	rotateHolderFree = rotateOfUser + `
	AND sessions.id = (SELECT id FROM sessions WHERE id = ? FOR NO KEY UPDATE SKIP LOCKED)` + rotateReturning + ", " + userColumns
)

// errAlone is a rotation that did not happen in a batch, and may if it is asked for alone.
var errAlone = errors.New("store: not in a batch")

// rotations lets refreshes that wait for PostgreSQL share a round trip and a commit. Who
// comes while few batches are under way goes at once; who comes later goes with all that
// came meanwhile. A batch waits for nobody's lock, so that it holds up none of its members
// and is no part of a deadlock: who finds the session held, or not as expected, asks alone.
type rotations struct {
	orm     *gorm.DB
	timeout time.Duration // of a batch

	mu      sync.Mutex
	waiting []*rotating
	batches int // under way
}

// rotating is one rotation.
type rotating struct {
	values []any
	dest   []any
	err    error
	result chan error
}

// do scans what rotateHolderFree returns for these values into dest. It returns errAlone
// if nothing was changed. Who gives up before a batch has their rotation leaves, and who
// does so later waits for the batch all the same: when its outcome is known is when the
// grace begins. If it returns because the database stalled, dest may be written to yet.
func (r *rotations) do(ctx context.Context, values, dest []any) error {
	m := &rotating{values: values, dest: dest, result: make(chan error, 1)}
	r.mu.Lock()
	r.waiting = append(r.waiting, m)
	if r.batches < batchesAtOnce {
		r.batches++
		go r.work() //nolint:contextcheck // of many callers
	}
	r.mu.Unlock()
	select {
	case err := <-m.result:
		return err
	case <-ctx.Done():
	}
	cause := context.Cause(ctx)
	if r.leave(m) || errors.Is(cause, errStalled) {
		return cause
	}
	err := <-m.result // a batch has a timeout
	if unavailable(err) {
		err = &UnavailableError{err} // and not the caller's doing
	}
	return err
}

// leave takes m from the queue, or reports that it is in it no longer.
func (r *rotations) leave(m *rotating) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.waiting, m)
	if i < 0 {
		return false
	}
	r.waiting = slices.Delete(r.waiting, i, i+1)
	return true
}

// work sends batches until nobody waits.
func (r *rotations) work() {
	for batch := r.next(); batch != nil; batch = r.next() {
		err := r.send(batch)
		for _, m := range batch {
			if err != nil {
				m.err = err
			}
			m.result <- m.err
		}
	}
}

// next returns nil, and counts the batch as over, if nobody waits.
func (r *rotations) next() []*rotating {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), batchMembers)
	if n == 0 {
		r.batches--
		return nil
	}
	batch := slices.Clone(r.waiting[:n])
	r.waiting = slices.Delete(r.waiting, 0, n)
	return batch
}

// send returns what became of all, and leaves what became of each in it.
func (r *rotations) send(batch []*rotating) (err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), r.timeout, errStalled)
	defer cancel()
	pool, err := r.orm.DB()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return conn.Raw(func(c any) error {
		if spanned, ok := c.(interface{ Raw() driver.Conn }); ok {
			c = spanned.Raw()
		}
		plain, ok := c.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a connection of %T", c)
		}
		return r.exchange(ctx, plain.Conn(), batch)
	})
}

// exchange sends a batch, which PostgreSQL takes for one transaction.
func (r *rotations) exchange(ctx context.Context, conn *pgx.Conn, batch []*rotating) (err error) {
	statement, found := numbered(rotateHolderFree), 0
	defer traced(ctx, r.orm, statement, batch[0].values, &found, &err)()
	var b pgx.Batch
	for _, m := range batch {
		b.Queue(statement, m.values...)
	}
	answers := conn.SendBatch(ctx, &b)
	for _, m := range batch {
		m.err = answers.QueryRow().Scan(m.dest...)
		switch {
		case m.err == nil:
			found++
		case errors.Is(m.err, pgx.ErrNoRows):
			m.err = errAlone
		}
	}
	err = answers.Close()
	// An error undoes all. What is fatal may come after the commit.
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.SeverityUnlocalized == "ERROR" {
		return errAlone
	}
	return err
}

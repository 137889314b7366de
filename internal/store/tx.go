package store

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// txKey is the context key of the transaction on db.
type txKey struct{ db *DB }

// InTx runs f in one transaction, which travels in the context that f gets: all
// methods of this DB that are called with it take part. The transaction is
// committed if f returns nil, and rolled back if f fails or panics. The error is
// f's own, or that of beginning or committing.
//
// In an f, InTx joins the transaction that is there: what it wrote stays written
// unless the outermost f fails. The transaction is for one goroutine at a time,
// and a method called with another context than f's waits for it in vain.
func (db *DB) InTx(ctx context.Context, f func(ctx context.Context) error) error {
	if _, ok := db.tx(ctx); ok {
		return f(ctx)
	}
	ctx, cancel := db.bound(ctx)
	defer cancel()
	err := db.together(ctx, func(ctx context.Context, tx *gorm.DB) error {
		if err := f(context.WithValue(ctx, txKey{db}, tx)); err != nil {
			return &ownError{err}
		}
		return nil
	})
	if own, ok := errors.AsType[*ownError](err); ok {
		return own.error
	}
	return wrap(ctx, "transaction", err)
}

// ownError is what the f of InTx returned, and not the transaction.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }

func (db *DB) together(ctx context.Context, f func(ctx context.Context, tx *gorm.DB) error) error {
	if db.group != nil {
		return db.group.do(ctx, task{f: f})
	}
	return db.writer.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return f(ctx, tx) })
}

// read runs a query: in the transaction of ctx, or on a reader. With SQLite it is what
// waits for a reader that ctx ends, and not the query: that waits for nobody, but for five
// seconds at most while another process mends what a third one left. Being ready to
// interrupt it costs a fifth of it.
func read[T any](ctx context.Context, db *DB, op string, f func(ctx context.Context, q *gorm.DB) (T, error)) (v T, err error) {
	if _, ok := db.tx(ctx); ok || db.reading == nil {
		return run(ctx, db, db.readers, op, f)
	}
	if err := db.enter(ctx); err != nil {
		return v, wrap(ctx, op, err)
	}
	defer func() { <-db.reading }()
	v, err = f(context.WithoutCancel(ctx), db.readers)
	return v, wrap(ctx, op, err)
}

// enter waits until a reader is free, no longer than ctx and the database's timeout allow.
func (db *DB) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case db.reading <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := db.bound(ctx)
	defer cancel()
	select {
	case db.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// change runs a statement that writes and returns: in the transaction of ctx, or
// on the writer.
func change[T any](ctx context.Context, db *DB, op string, f func(ctx context.Context, q *gorm.DB) (T, error)) (T, error) {
	if _, ok := db.tx(ctx); ok || db.group == nil {
		return run(ctx, db, db.writer, op, f)
	}
	ctx, cancel := db.bound(ctx)
	defer cancel()
	var v T
	err := db.group.do(ctx, task{single: true, f: func(ctx context.Context, q *gorm.DB) (err error) {
		v, err = f(ctx, q)
		return err
	}})
	return v, wrap(ctx, op, err)
}

// write is change for statements that return nothing.
func write(ctx context.Context, db *DB, op string, f func(ctx context.Context, q *gorm.DB) error) error {
	_, err := change(ctx, db, op, func(ctx context.Context, q *gorm.DB) (struct{}, error) {
		return struct{}{}, f(ctx, q)
	})
	return err
}

// writeAhead is write that calls use after f and, where a commit follows, beside that.
// What use makes of what f found is worth something only if there is no error. Who gives up
// once f has begun, and is in no transaction, is told all the same what became of it.
func writeAhead(ctx context.Context, db *DB, op string, f func(ctx context.Context, q *gorm.DB) error, use func()) error {
	var err error
	switch _, ok := db.tx(ctx); {
	case ok:
		err = write(ctx, db, op, f)
	case db.group == nil:
		err = whole(ctx, db, op, f)
	default:
		ctx, cancel := db.bound(ctx)
		defer cancel()
		return wrap(ctx, op, db.group.do(ctx, task{f: f, single: true, ahead: use}))
	}
	if err == nil {
		use()
	}
	return err
}

// whole is write on a connection of its own, for which ctx is waited, and no longer once it
// is there: PostgreSQL may commit what is interrupted, and nobody would know.
func whole(ctx context.Context, db *DB, op string, f func(ctx context.Context, q *gorm.DB) error) error {
	bounded, cancel := db.bound(context.WithoutCancel(ctx))
	defer cancel()
	ctx, leave := db.bound(ctx)
	defer leave()
	begun := false
	err := db.writer.WithContext(ctx).Connection(func(q *gorm.DB) error {
		begun = true
		return f(bounded, q)
	})
	if begun { // then a failure is not the caller's doing
		ctx = bounded
	}
	return wrap(ctx, op, err)
}

// assign sets columns of the row of that id, in its table, and returns how many
// rows there were.
func assign(ctx context.Context, q *gorm.DB, row any, id string, set clause.Set) (int, error) {
	res := q.WithContext(ctx).Model(row).Where("id = ?", id).Clauses(set).Updates(map[string]any{})
	return int(res.RowsAffected), res.Error
}

// prune runs a delete and returns how many rows it took.
func prune(ctx context.Context, db *DB, op, sql string, args ...any) (int, error) {
	return change(ctx, db, op, func(ctx context.Context, q *gorm.DB) (int, error) {
		res := q.WithContext(ctx).Exec(sql, args...)
		return int(res.RowsAffected), res.Error
	})
}

// deadlockTries is how often a statement is tried that PostgreSQL undoes for a deadlock.
const deadlockTries = 3

// run calls f in the transaction of ctx. Without one f is a statement by itself, of which
// nothing is left where it was undone for a deadlock, so that it is tried again.
func run[T any](
	ctx context.Context, db *DB, pool *gorm.DB, op string, f func(ctx context.Context, q *gorm.DB) (T, error),
) (T, error) {
	q, ok := db.tx(ctx)
	if !ok {
		var cancel context.CancelFunc
		ctx, cancel = db.bound(ctx)
		defer cancel()
		q = pool
	}
	v, err := f(ctx, q)
	for try := 1; try < deadlockTries && !ok && deadlocked(err); try++ {
		v, err = f(ctx, q)
	}
	return v, wrap(ctx, op, err)
}

func (db *DB) tx(ctx context.Context) (*gorm.DB, bool) {
	tx, ok := ctx.Value(txKey{db}).(*gorm.DB)
	return tx, ok
}

// locking ends a select of a row that the transaction of ctx, if any, will change.
func (db *DB) locking(ctx context.Context) string {
	if _, ok := db.tx(ctx); ok {
		return db.dialect.lockRows()
	}
	return ""
}

func (db *DB) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, db.timeout, errStalled)
}

// Package flow is what the flows have in common: one request as they see it, and
// the [Ledger], the one way in which they change who may come in.
//
// It is no flow itself and tells no story. It is apart from them because flows
// do not know each other, and there must not be two ways to end access.
package flow

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/ratelimit"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/telemetry"
)

// Visit is one request as a flow sees it. The flow fills Quota in, if it counted
// the request against a limit.
type Visit struct {
	audit.Origin
	// AddressKey is what limits per address count by.
	AddressKey string
	Quota      *ratelimit.Result
}

// LimitedError is a request that came too soon after others.
type LimitedError struct{ Quota ratelimit.Result }

func (e *LimitedError) Error() string {
	return fmt.Sprintf("flow: limited, next try in %s", e.Quota.RetryAfter)
}

// Take counts the visit against l under key, or returns a [*LimitedError]. A nil
// l counts nothing.
func (v *Visit) Take(ctx context.Context, l *ratelimit.Limiter, key string, m *telemetry.Metrics) error {
	if l == nil {
		return nil
	}
	quota, err := l.Take(ctx, key)
	if err != nil {
		return fmt.Errorf("flow: count request: %w", err)
	}
	v.Quota = &quota
	if !quota.Allowed {
		m.RateLimited(quota.Name)
		return &LimitedError{Quota: quota}
	}
	return nil
}

// Ledger commits an act together with the events that tell of it and the
// revocations that follow from it, so that none of them is ever there without
// the others. All fields are needed; it is safe for concurrent use.
type Ledger struct {
	Revocations *revocation.Feed
	Audit       audit.Store
	// InTx runs f in one transaction, which travels in f's context.
	InTx func(ctx context.Context, f func(ctx context.Context) error) error
	Now  func() time.Time // time.Now everywhere but in tests

	// Commits that failed and may have counted all the same, and how many of them had
	// their outcome read since.
	doubts, settled atomic.Int64
}

// Outcome is what an act leaves behind besides its own rows.
type Outcome struct {
	Events  []audit.Event
	Revoked []revocation.Entry
}

// Commit runs act in a transaction that also holds what it leaves behind, and
// then makes the revocations known in this process. A commit whose answer was lost
// may have revoked something: who tries again is told that it is done, so the next
// Commit reads the feed before it returns.
func (l *Ledger) Commit(ctx context.Context, act func(ctx context.Context) (Outcome, error)) error {
	var done Outcome
	began := false
	err := l.InTx(ctx, func(ctx context.Context) error {
		began = true
		var err error
		if done, err = act(ctx); err != nil {
			return err
		}
		for _, e := range done.Events {
			e.At = l.Now()
			if err := l.Audit.Append(ctx, e); err != nil {
				return fmt.Errorf("flow: record event: %w", err)
			}
		}
		return l.Revocations.Append(ctx, done.Revoked)
	})
	switch {
	case err == nil:
		l.Revocations.Apply(done.Revoked)
	case len(done.Revoked) > 0:
		l.doubts.Add(1)
		l.Revocations.Wake()
		return err
	case !began:
		return err // what is in doubt may be still under way
	}
	if failed := l.settle(ctx); failed != nil {
		return failed
	}
	return err
}

// settle makes known in this process what commits revoked whose outcome it was not told.
func (l *Ledger) settle(ctx context.Context) error {
	doubts := l.doubts.Load()
	if doubts == l.settled.Load() {
		return nil
	}
	if err := l.Revocations.Sync(ctx); err != nil {
		return err
	}
	l.settled.Store(doubts)
	return nil
}

// Record writes one event in a transaction of its own.
func (l *Ledger) Record(ctx context.Context, e audit.Event) error {
	return l.Commit(ctx, func(context.Context) (Outcome, error) {
		return Outcome{Events: []audit.Event{e}}, nil
	})
}

// Refuse records e and returns err, or why e could not be recorded: what
// cannot be put on record is not answered as if it had been.
func (l *Ledger) Refuse(ctx context.Context, e audit.Event, err error) error {
	if failed := l.Record(ctx, e); failed != nil {
		return failed
	}
	return err
}

// Outdate returns the second from which on tokens of a subject are good again,
// and the feed's entry that makes those up to now invalid. Tokens carry whole
// seconds, so the border is the next one, and a token minted before it is dated
// forward to it. A second border in one second must be later than the first,
// which is before, or it would not touch those.
func (l *Ledger) Outdate(subject string, before time.Time) (time.Time, revocation.Entry) {
	border := l.Now().UTC().Truncate(time.Second).Add(time.Second)
	if !border.After(before) {
		border = before.Add(time.Second)
	}
	return border, l.Revocations.User(subject, border)
}

// Gone returns the feed's entry that makes all tokens of a subject invalid which is no
// more. before is the border of those that it had.
func (l *Ledger) Gone(subject string, before time.Time) revocation.Entry {
	border, _ := l.Outdate(subject, before)
	return l.Revocations.Gone(subject, border)
}

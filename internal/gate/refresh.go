package gate

import (
	"context"
	"errors"
	"fmt"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/telemetry"
	"github.com/jotgate/jotgate/internal/token"
	"github.com/jotgate/jotgate/internal/user"
)

// Refreshing is a refresh token as its holder presents it.
type Refreshing struct {
	Token    string
	Mode     session.Mode // how it travelled
	RetryKey string       // the Idempotency-Key, or empty
}

// Refresh rotates the refresh token presented. It returns [ErrInvalidRefresh],
// a [*flow.LimitedError], or [session.ErrReused], after which the session is over and
// that is committed.
func (g *Gate) Refresh(ctx context.Context, r Refreshing, v *flow.Visit) (Tokens, error) {
	t, how, err := g.refresh(ctx, r, v)
	g.Metrics.Refresh(how)
	return t, err
}

func (g *Gate) refresh(ctx context.Context, r Refreshing, v *flow.Visit) (Tokens, telemetry.RefreshOutcome, error) {
	now := g.Now().UTC()
	read, err := g.Refresher.Read(r.Token)
	if err != nil {
		return Tokens{}, telemetry.RefreshInvalid, fmt.Errorf("%w: %w", ErrInvalidRefresh, err)
	}
	if err := g.take(ctx, g.Limits.Refresh, read.SessionID, v); err != nil {
		return Tokens{}, telemetry.RefreshRateLimited, err
	}
	var t Tokens
	var unissued error
	rotated, u, err := g.rotate(ctx, presented(read, r), func(s session.Session, u user.User) {
		t, unissued = g.issue(s, u, now)
	})
	if errors.Is(err, user.ErrNotFound) || err == nil && u.Disabled {
		return Tokens{}, telemetry.RefreshEnded, ErrInvalidRefresh
	}
	if err != nil {
		how, err := g.refreshRefused(ctx, read, rotated, err, v.Origin)
		return Tokens{}, how, err
	}
	switch {
	case unissued != nil:
		return Tokens{}, telemetry.RefreshError, unissued
	case rotated.Repeated:
		return t, telemetry.RefreshRepeated, nil
	}
	return t, telemetry.RefreshRotated, nil
}

// rotate returns the user as they were when the session was rotated, or later. It calls
// use with what it is going to return, maybe before that is certain.
func (g *Gate) rotate(ctx context.Context, p session.Presented, use func(session.Session, user.User)) (session.Rotated, user.User, error) {
	var u user.User
	rotated, err := g.Sessions.Rotate(ctx, p, func(ctx context.Context, r session.Rotation) (s session.Session, err error) {
		s, u, err = g.RotateHolder(ctx, r, use)
		return s, err
	})
	if err != nil || !rotated.Repeated {
		return rotated, u, err
	}
	if u, err = g.Users.Store.ByID(ctx, user.ID(p.UserID)); err != nil {
		return rotated, u, fmt.Errorf("gate: look up user: %w", err)
	}
	use(rotated.Session, u)
	return rotated, u, nil
}

func (g *Gate) refreshRefused(ctx context.Context, read token.Refresh, rotated session.Rotated, err error, from audit.Origin) (telemetry.RefreshOutcome, error) {
	e := audit.Event{
		UserID: read.Subject, SessionID: read.SessionID, Origin: from,
		Detail: fmt.Sprintf("generation %d", read.Generation),
	}
	switch {
	case errors.Is(err, session.ErrEnded), errors.Is(err, session.ErrWrongMode):
		return telemetry.RefreshEnded, ErrInvalidRefresh
	case errors.Is(err, session.ErrAhead):
		e.Kind = audit.RefreshAhead
		return telemetry.RefreshAhead, g.Refuse(ctx, e, fmt.Errorf("%w: %w", ErrInvalidRefresh, err))
	case errors.Is(err, session.ErrReused):
		e.Kind = audit.RefreshReused
		e.Detail += fmt.Sprintf(" of %d", rotated.Session.Generation)
		return telemetry.RefreshReused, g.endReused(ctx, e)
	}
	return telemetry.RefreshError, err
}

// endReused ends the session of a spent token. Two parties hold it, and which
// of them is the owner cannot be told.
func (g *Gate) endReused(ctx context.Context, e audit.Event) error {
	err := g.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		revoked, err := g.end(ctx, session.Which{ID: session.ID(e.SessionID)}, session.ReasonReuse)
		return flow.Outcome{Events: []audit.Event{e}, Revoked: revoked}, err
	})
	if err != nil {
		return err
	}
	return session.ErrReused
}

func presented(read token.Refresh, r Refreshing) session.Presented {
	return session.Presented{
		ID: session.ID(read.SessionID), UserID: read.Subject,
		Generation: session.Generation(read.Generation), Mode: r.Mode, RetryKey: r.RetryKey,
	}
}

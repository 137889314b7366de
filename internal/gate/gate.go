// Package gate is the front door: it turns credentials into a session and a
// session into tokens, and it is the one place where a session ends. Each
// exported method is one story that a user or an operator would tell.
//
// It speaks no HTTP. What ends access passes [flow.Ledger.Commit], so that the
// end, its audit event and the entry in the revocation feed are one transaction;
// but for [Gate.BumpEpoch], whose entry comes first and whose sessions follow.
package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/ratelimit"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/telemetry"
	"github.com/jotgate/jotgate/internal/token"
	"github.com/jotgate/jotgate/internal/user"
)

// Errors a caller can act on, besides those of the nouns.
var (
	// ErrInvalidRefresh is what is not a refresh token of a living session.
	ErrInvalidRefresh = errors.New("gate: not a valid refresh token")
	// ErrRegistrationClosed is a registration where the operator takes none.
	ErrRegistrationClosed = errors.New("gate: registration is closed")
	// ErrReauthentication is a wrong current password of somebody signed in.
	ErrReauthentication = errors.New("gate: current password is wrong")
	// ErrSessionNeeded is a program that asks for what only a signed-in user may do.
	ErrSessionNeeded = errors.New("gate: only a signed-in user may do this")
)

// Limits bound how often a flow may be asked. Nil ones are off.
type Limits struct {
	Login        *ratelimit.Limiter // per address
	Registration *ratelimit.Limiter // per address
	Refresh      *ratelimit.Limiter // per session
	Password     *ratelimit.Limiter // per user, where the current password is asked for
}

// Config is what a [Gate] works with. All fields are needed.
type Config struct {
	*flow.Ledger

	Users    *user.Service
	Sessions *session.Service
	// Holder returns a session, living or not, and its user, or [session.ErrNotFound].
	Holder func(ctx context.Context, id session.ID) (session.Session, user.User, error)
	// RotateHolder is a [session.Swap] that returns the user too. It calls use
	// with both, maybe before the rotation is committed; after an error nothing that use
	// made may leave.
	RotateHolder func(ctx context.Context, r session.Rotation, use func(session.Session, user.User)) (session.Session, user.User, error)

	Keys      *apikey.Service
	Issuer    *token.Issuer
	Refresher *token.Refresher
	AccessTTL func() time.Duration // whole seconds, as the times in a token are
	Limits    Limits
	Metrics   *telemetry.Metrics
	// Closed refuses registrations.
	Closed bool
}

// Gate runs the flows. Create one with [New]; it is safe for concurrent use.
type Gate struct {
	Config
}

// New returns a Gate.
func New(c Config) *Gate { return &Gate{c} }

// Tokens is what a signed-in client holds.
type Tokens struct {
	IssuedAt       time.Time // when they were handed out, in whole seconds
	Access         string
	AccessExpires  time.Time
	Refresh        string
	RefreshExpires time.Time
	Session        session.Session
	User           user.User
}

// clientID is the client_id of first-party sessions.
const clientID = "jotgate"

// issue mints the tokens of s for u. now is from before u was read: whatever
// changes u later in the same instant makes this token invalid, not the reverse.
func (g *Gate) issue(s session.Session, u user.User, now time.Time) (Tokens, error) {
	issued := now.Truncate(time.Second)
	if issued.Before(u.TokensValidAfter) {
		issued = u.TokensValidAfter
	}
	// It outlives its session by less than the second that a token lives at least: no end
	// that comes later would reach it.
	expires := issued.Add(g.AccessTTL())
	if s.ExpiresAt.Before(expires) {
		expires = later(s.ExpiresAt.Truncate(time.Second), issued.Add(time.Second))
	}
	access, err := g.Issuer.Access(token.Access{
		Subject: string(u.ID), ClientID: clientID, SessionID: string(s.ID),
		IssuedAt: issued, ExpiresAt: expires, AuthTime: s.CreatedAt.Truncate(time.Second),
		AMR: []string{"pwd"}, Roles: user.RoleNames(u.Roles), Mode: string(s.Mode),
	})
	if err != nil {
		return Tokens{}, fmt.Errorf("gate: mint access token: %w", err)
	}
	refreshed := s.LastUsedAt.Truncate(time.Second)
	refreshExpires := later(s.ExpiresAt.Truncate(time.Second), refreshed.Add(time.Second))
	refresh, err := g.Refresher.Mint(token.Refresh{
		Subject: string(u.ID), SessionID: string(s.ID), Generation: int64(s.Generation),
		IssuedAt: refreshed, ExpiresAt: refreshExpires,
	})
	if err != nil {
		return Tokens{}, fmt.Errorf("gate: mint refresh token: %w", err)
	}
	return Tokens{
		IssuedAt: now.Truncate(time.Second), Access: access, AccessExpires: expires, Refresh: refresh, RefreshExpires: refreshExpires,
		Session: s, User: u,
	}, nil
}

// take counts the visit against l under key.
func (g *Gate) take(ctx context.Context, l *ratelimit.Limiter, key string, v *flow.Visit) error {
	return v.Take(ctx, l, key, g.Metrics)
}

// end ends the sessions that w selects, inside Commit.
func (g *Gate) end(ctx context.Context, w session.Which, why session.Reason) ([]revocation.Entry, error) {
	ended, err := g.Sessions.End(ctx, w, why)
	if err != nil {
		return nil, err
	}
	g.Metrics.SessionsEnded(string(why), len(ended))
	ids := make([]string, len(ended))
	for i, id := range ended {
		ids[i] = string(id)
	}
	return g.Revocations.Sessions(ids...), nil
}

// outdate returns the change that makes the tokens of u up to now invalid, and
// the feed's entry for it.
func (g *Gate) outdate(u user.User) (time.Time, revocation.Entry) {
	return g.Outdate(string(u.ID), u.TokensValidAfter)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

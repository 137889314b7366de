// Package oauth is the door for programs that act for themselves: it turns a
// client's secret into an access token (RFC 6749, section 4.4), tells clients
// what a token is worth (RFC 7662) and takes tokens back (RFC 7009). Operators
// register and end clients here.
//
// It speaks no HTTP and parses no JWT: Config.Read does.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/scope"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/token"
	"github.com/jotgate/jotgate/internal/user"
)

// Errors a caller can act on, besides those of the nouns.
var (
	// ErrInvalidScope is a scope that is none, or that the client was not granted.
	ErrInvalidScope = errors.New("oauth: scope is not granted")
	// ErrInvalidTarget is an audience that the client's tokens may not be for.
	ErrInvalidTarget = errors.New("oauth: audience is not granted")
	// ErrNotYours is a token that was issued to somebody else.
	ErrNotYours = errors.New("oauth: token of another client")
)

// Config is what an [OAuth] works with. All fields are needed.
type Config struct {
	*flow.Ledger

	Clients   *client.Service
	Users     *user.Service
	Sessions  *session.Service
	Issuer    *token.Issuer
	Refresher *token.Refresher
	AccessTTL func() time.Duration // whole seconds, as the times in a token are
	// Audience is the one that first-party tokens have.
	Audience string
	// KeyHolder returns the user for whom an API key acts, and the key with the
	// scopes that it is good for at this moment, or [apikey.ErrInvalid].
	KeyHolder func(ctx context.Context, secret string) (user.User, apikey.Key, error)
	// Read returns what an access token of ours says that is valid and not revoked,
	// whomever it is for, and false for anything else. Of that it returns nothing, unless
	// it is a token whose only fault is that it is dated ahead.
	Read func(ctx context.Context, raw string) (Token, bool, error)
}

// Token is what an access token says.
type Token struct {
	ID        string // jti
	Subject   string
	ClientID  string
	SessionID string // empty if a client acts for itself
	Audience  []string
	Scope     string
	Roles     []string
	Mode      string
	IssuedAt  time.Time
	ExpiresAt time.Time // zero for an API key that does not expire
}

// OAuth runs the flows. Create one with [New]; it is safe for concurrent use.
type OAuth struct {
	Config
}

// New returns an OAuth.
func New(c Config) *OAuth { return &OAuth{c} }

// Grant is what a client asks for.
type Grant struct {
	// Scopes are wanted; nil stands for all that the client was granted.
	Scopes []string
	// Audience is whom the token is for; empty stands for the client's first one.
	Audience string
}

// Issued is an access token with what it was issued for.
type Issued struct {
	Access  string
	Expires time.Duration
	Scope   string
}

// Token issues an access token to the client that id and secret belong to. It
// returns [client.ErrUnauthenticated], [ErrInvalidScope] or [ErrInvalidTarget]. A wrong
// secret takes a turn to write: look at it first.
func (o *OAuth) Token(ctx context.Context, id client.ID, secret string, want Grant, v *flow.Visit) (Issued, error) {
	var issued Issued
	err := o.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		// From before the client was read: what changes it later in the same instant
		// makes this token invalid, not the reverse.
		now := o.Now()
		c, err := o.Clients.Authenticate(ctx, id, secret) // and nobody changes it now
		if err != nil {
			return flow.Outcome{}, err
		}
		if issued, err = o.issue(c, want, now); err != nil {
			return flow.Outcome{}, err
		}
		return event(audit.ClientToken, "", c.ID, v), nil
	})
	return issued, err
}

func (o *OAuth) issue(c client.Client, want Grant, now time.Time) (Issued, error) {
	scopes := c.Scopes
	if want.Scopes != nil {
		var err error
		if scopes, err = scope.Parse(want.Scopes); err != nil || len(scope.Within(scopes, c.Scopes)) < len(scopes) {
			return Issued{}, ErrInvalidScope
		}
	}
	audience := c.Audiences[0]
	if want.Audience != "" {
		audience = want.Audience
	}
	if !slices.Contains(c.Audiences, audience) {
		return Issued{}, ErrInvalidTarget
	}
	at := now.UTC().Truncate(time.Second)
	if at.Before(c.TokensValidAfter) {
		at = c.TokensValidAfter
	}
	granted, life := strings.Join(scopes, " "), o.AccessTTL()
	access, err := o.Issuer.Access(token.Access{
		Subject: string(c.ID), ClientID: string(c.ID), Audience: audience,
		IssuedAt: at, ExpiresAt: at.Add(life), Scope: granted, Mode: string(session.Bearer),
	})
	if err != nil {
		return Issued{}, fmt.Errorf("oauth: mint access token: %w", err)
	}
	return Issued{Access: access, Expires: life, Scope: granted}, nil
}

// Revoke ends an access token of c's at once, and one that is dated ahead before it begins.
// What is no token of ours, or none any more, needs no end. It returns [ErrNotYours].
func (o *OAuth) Revoke(ctx context.Context, c client.Client, raw string, v *flow.Visit) error {
	t, _, err := o.Read(ctx, raw)
	if err != nil {
		return err
	}
	if t.ID == "" {
		return o.foreign(ctx, raw)
	}
	if t.ClientID != string(c.ID) {
		return ErrNotYours
	}
	return o.Commit(ctx, func(context.Context) (flow.Outcome, error) {
		done := event(audit.ClientRevoked, "", c.ID, v)
		done.Revoked = []revocation.Entry{o.Revocations.Token(t.ID, t.IssuedAt)}
		return done, nil
	})
}

// foreign returns [ErrNotYours] for the other credentials that are issued here:
// a client must not take them for revoked.
func (o *OAuth) foreign(ctx context.Context, raw string) error {
	if _, err := o.Refresher.Read(raw); err == nil {
		return ErrNotYours
	}
	_, _, err := o.KeyHolder(ctx, raw)
	switch {
	case err == nil:
		return ErrNotYours
	case errors.Is(err, apikey.ErrInvalid):
		return nil
	}
	return err
}

// event is an act on, or of, a client. actor is the user or client who did it, or
// empty for the client itself and for operators.
func event(kind audit.Kind, actor string, id client.ID, v *flow.Visit) flow.Outcome {
	return flow.Outcome{Events: []audit.Event{{Kind: kind, UserID: actor, Detail: string(id), Origin: v.Origin}}}
}

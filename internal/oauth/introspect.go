package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// Introspect returns what raw, an access token or an API key, says if it is good
// at this moment as the database knows it, and c may know of it: because it was
// issued to c, or is for one of c's audiences. It returns false for anything
// else, and never why.
func (o *OAuth) Introspect(ctx context.Context, c client.Client, raw string) (Token, bool, error) {
	if strings.HasPrefix(raw, apikey.Prefix) {
		return o.introspectKey(ctx, c, raw)
	}
	t, ok, err := o.Read(ctx, raw)
	// Clocks that differ have a leeway where others verify; whoever asks here reads exp.
	if err != nil || !ok || !o.Now().Before(t.ExpiresAt) {
		return Token{}, false, err
	}
	forClient := slices.ContainsFunc(t.Audience, func(a string) bool { return slices.Contains(c.Audiences, a) })
	if !forClient && t.ClientID != string(c.ID) {
		return Token{}, false, nil
	}
	ok, err = o.Alive(ctx, t)
	return t, ok, err
}

// Alive reports whether the session and the user, or the client, behind a valid
// token still may do what it says, as the database knows them.
func (o *OAuth) Alive(ctx context.Context, t Token) (bool, error) {
	if t.SessionID == "" {
		c, err := o.Clients.Store.ByID(ctx, client.ID(t.Subject))
		if errors.Is(err, client.ErrNotFound) {
			return false, nil
		}
		return err == nil && !t.IssuedAt.Before(c.TokensValidAfter), err
	}
	_, err := o.Sessions.Alive(ctx, session.ID(t.SessionID), t.Subject)
	if errors.Is(err, session.ErrEnded) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	u, err := o.Users.Store.ByID(ctx, user.ID(t.Subject))
	if errors.Is(err, user.ErrNotFound) || err == nil && u.Disabled {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("oauth: look up user: %w", err)
	}
	return !t.IssuedAt.Before(u.TokensValidAfter), nil
}

func (o *OAuth) introspectKey(ctx context.Context, c client.Client, raw string) (Token, bool, error) {
	u, k, err := o.KeyHolder(ctx, raw)
	if errors.Is(err, apikey.ErrInvalid) {
		return Token{}, false, nil
	}
	if err != nil || !slices.Contains(c.Audiences, o.Audience) {
		return Token{}, false, err
	}
	return Token{
		ID: string(k.ID), Subject: k.UserID, ClientID: firstParty, Audience: []string{o.Audience},
		Scope: strings.Join(k.Scopes, " "), Roles: user.RoleNames(u.Roles), Mode: string(session.Bearer),
		IssuedAt: k.CreatedAt.Truncate(time.Second), ExpiresAt: k.ExpiresAt,
	}, true, nil
}

// firstParty is the client_id of what users hold.
const firstParty = "jotgate"

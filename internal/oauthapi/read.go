package oauthapi

import (
	"context"
	"errors"

	"github.com/jotgate/jotgate/internal/oauth"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// Reader is [oauth.Config.Read] by a verifier that takes every audience.
func Reader(v *bearer.Verifier) func(ctx context.Context, raw string) (oauth.Token, bool, error) {
	return func(ctx context.Context, raw string) (oauth.Token, bool, error) {
		c, err := v.Verify(ctx, raw)
		early, ahead := errors.AsType[*bearer.NotYetError](err)
		switch {
		case ahead:
			c = early.Claims
		case errors.Is(err, bearer.ErrInvalidToken):
			return oauth.Token{}, false, nil
		case err != nil:
			return oauth.Token{}, false, err
		}
		return oauth.Token{
			ID: c.ID, Subject: c.Subject, ClientID: c.ClientID, SessionID: c.SessionID, Audience: c.Audience,
			Scope: c.Scope, Roles: c.Roles, Mode: c.Mode, IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt,
		}, !ahead, nil
	}
}

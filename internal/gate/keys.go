package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/scope"
	"github.com/jotgate/jotgate/internal/user"
)

// ErrNotAdmin is somebody who asks for the scope of administrators and is none.
var ErrNotAdmin = errors.New("gate: only administrators grant the scope admin")

// UserOfKey returns the user for whom an API key acts, and the key with the
// scopes that the user may still grant, as the database knows them at this
// moment. It returns [apikey.ErrInvalid].
//
// That the use cannot be written down keeps nobody out.
func (g *Gate) UserOfKey(ctx context.Context, secret string) (user.User, apikey.Key, error) {
	k, err := g.Keys.Find(ctx, secret)
	if err != nil {
		return user.User{}, apikey.Key{}, err
	}
	u, err := g.keyUser(ctx, user.ID(k.UserID))
	if err != nil {
		return user.User{}, apikey.Key{}, err
	}
	k.Scopes = grantable(u, k)
	if err := g.Keys.Used(ctx, k); err != nil {
		g.Metrics.KeyUseUnrecorded()
	}
	return u, k, nil
}

// keyUser returns the user of an API key, or [apikey.ErrInvalid] if they are gone or may
// not sign in.
func (g *Gate) keyUser(ctx context.Context, id user.ID) (user.User, error) {
	u, err := g.Users.Store.ByID(ctx, id)
	if errors.Is(err, user.ErrNotFound) || err == nil && u.Disabled {
		return user.User{}, apikey.ErrInvalid
	}
	if err != nil {
		return user.User{}, fmt.Errorf("gate: look up key holder: %w", err)
	}
	return u, nil
}

// KeyScopes returns what the API key that who presented may do now; nobody else changes
// that while a transaction that ctx carries goes on. It returns [apikey.ErrInvalid] if the
// key is gone or over, or its user is gone or may not sign in.
func (g *Gate) KeyScopes(ctx context.Context, who Caller) ([]string, error) {
	u, err := g.keyUser(ctx, who.User.ID)
	if err != nil {
		return nil, err
	}
	keys, err := g.Keys.Store.List(ctx, string(u.ID))
	if err != nil {
		return nil, fmt.Errorf("gate: look up key: %w", err)
	}
	i := slices.IndexFunc(keys, func(k apikey.Key) bool { return k.ID == who.Key.ID && !k.Over(g.Now()) })
	if i < 0 {
		return nil, apikey.ErrInvalid
	}
	return grantable(u, keys[i]), nil
}

// grantable is what of the scopes of k its user u still may grant.
func grantable(u user.User, k apikey.Key) []string {
	if isAdmin(u) {
		return k.Scopes
	}
	return slices.DeleteFunc(k.Scopes, func(s string) bool { return s == scope.Admin })
}

// KeyHolder is [Gate.UserOfKey] as a caller.
func (g *Gate) KeyHolder(ctx context.Context, secret string) (Caller, error) {
	u, k, err := g.UserOfKey(ctx, secret)
	return Caller{User: u, Key: &k}, err
}

func isAdmin(u user.User) bool { return slices.Contains(u.Roles, user.Role(scope.Admin)) }

// CreateKey makes an API key of the caller's and returns it with its secret. It
// returns [ErrSessionNeeded], [ErrNotAdmin] or [apikey.ErrTooMany].
func (g *Gate) CreateKey(ctx context.Context, who Caller, d apikey.Draft, v *flow.Visit) (k apikey.Key, secret string, err error) {
	err = g.commitAs(ctx, who, func(ctx context.Context, u user.User) (_ flow.Outcome, err error) {
		// Nobody else adds a key to u now.
		if slices.Contains(d.Scopes(), scope.Admin) && !isAdmin(u) {
			return flow.Outcome{}, ErrNotAdmin
		}
		if k, secret, err = g.Keys.Create(ctx, string(u.ID), d); err != nil {
			return flow.Outcome{}, err
		}
		return keyEvent(audit.APIKeyCreated, who, k.ID, v), nil
	})
	return k, secret, err
}

// ListKeys returns the caller's API keys, or [ErrSessionNeeded].
func (g *Gate) ListKeys(ctx context.Context, who Caller) ([]apikey.Key, error) {
	if err := who.signedIn(); err != nil {
		return nil, err
	}
	return g.Keys.Store.List(ctx, string(who.User.ID))
}

// DeleteKey deletes one of the caller's API keys, or returns [ErrSessionNeeded]
// or [apikey.ErrNotFound]. The database is asked at each use of a key, so its
// entry in the feed is for those who remember what introspection told them of it.
func (g *Gate) DeleteKey(ctx context.Context, who Caller, id apikey.ID, v *flow.Visit) error {
	return g.commitAs(ctx, who, func(ctx context.Context, _ user.User) (flow.Outcome, error) {
		if err := g.Keys.Store.Delete(ctx, id, string(who.User.ID)); err != nil {
			return flow.Outcome{}, fmt.Errorf("gate: delete key: %w", err)
		}
		done := keyEvent(audit.APIKeyDeleted, who, id, v)
		done.Revoked = g.Revocations.Sessions(string(id))
		return done, nil
	})
}

func keyEvent(kind audit.Kind, who Caller, id apikey.ID, v *flow.Visit) flow.Outcome {
	return flow.Outcome{Events: []audit.Event{{
		Kind: kind, UserID: string(who.User.ID), SessionID: string(who.Session.ID), Detail: string(id), Origin: v.Origin,
	}}}
}

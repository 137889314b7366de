package gate

import (
	"context"
	"errors"
	"fmt"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// Caller is who makes a request, as the database knows them at this moment: a
// user in a session, a program that acts for a user with an API key, or one that
// acts for itself, which is no user.
type Caller struct {
	User    user.User
	Session session.Session
	Key     *apikey.Key
	// Good, if it is not nil, returns an error if the access token of the request is good
	// no more. It is asked in the transaction, once nobody else changes what the rows say.
	Good func(ctx context.Context) error
}

// signedIn returns [ErrSessionNeeded] for a program.
func (c Caller) signedIn() error {
	if c.Session.ID == "" {
		return ErrSessionNeeded
	}
	return nil
}

// Caller returns the user and the session behind a verified access token, or
// [session.ErrEnded] if either is over. Routes that manage the user ask it,
// because they must not act on a token that outlived its session.
func (g *Gate) Caller(ctx context.Context, sessionID, userID string) (Caller, error) {
	s, u, err := g.Holder(ctx, session.ID(sessionID))
	if errors.Is(err, session.ErrNotFound) || err == nil && (!g.Sessions.Living(s, userID) || u.Disabled) {
		return Caller{}, session.ErrEnded
	}
	if err != nil {
		return Caller{}, fmt.Errorf("gate: look up session and user: %w", err)
	}
	return Caller{User: u, Session: s}, nil
}

// again returns the user behind who as they are now, inside Commit: since [Gate.Caller] the
// request may have waited for a hash, for a lock or for its turn to write. Until the commit
// is over nobody else changes the user or ends the session. It returns [session.ErrEnded] if
// either is over.
func (g *Gate) again(ctx context.Context, who Caller) (user.User, error) {
	u, err := g.Users.Store.ByID(ctx, who.User.ID)
	if errors.Is(err, user.ErrNotFound) || err == nil && u.Disabled {
		return user.User{}, session.ErrEnded
	}
	if err != nil {
		return user.User{}, fmt.Errorf("gate: look at user again: %w", err)
	}
	_, err = g.Sessions.Alive(ctx, who.Session.ID, string(u.ID))
	return u, err
}

// commitAs is Commit for what a user in a session does, or returns [ErrSessionNeeded]. Once
// the session is over it does nothing and returns [session.ErrEnded]: whoever ended it was
// told that it can do no more. So it does once the token is good no more, with Good's error.
func (g *Gate) commitAs(ctx context.Context, who Caller, act func(ctx context.Context, u user.User) (flow.Outcome, error)) error {
	if err := who.signedIn(); err != nil {
		return err
	}
	return g.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		u, err := g.again(ctx, who)
		if err == nil && who.Good != nil {
			err = who.Good(ctx)
		}
		if err != nil {
			return flow.Outcome{}, err
		}
		return act(ctx, u)
	})
}

// SessionOf returns the session and user that a refresh token names, expired or
// not, or [ErrInvalidRefresh] if it is none of ours or travelled in the other
// mode. A session that is gone from the database has no mode to differ in.
func (g *Gate) SessionOf(ctx context.Context, raw string, mode session.Mode) (sessionID, userID string, err error) {
	read, err := g.Refresher.Read(raw)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrInvalidRefresh, err)
	}
	s, err := g.Sessions.Store.ByID(ctx, session.ID(read.SessionID))
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return "", "", fmt.Errorf("gate: look up session: %w", err)
	}
	if err == nil && s.Mode != mode {
		return "", "", ErrInvalidRefresh
	}
	return read.SessionID, read.Subject, nil
}

// Logout ends the session, which may have ended already.
func (g *Gate) Logout(ctx context.Context, sessionID, userID string, v *flow.Visit) error {
	return g.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		revoked, err := g.end(ctx, session.Which{ID: session.ID(sessionID), UserID: userID}, session.ReasonLogout)
		if err != nil || len(revoked) == 0 {
			return flow.Outcome{}, err
		}
		return flow.Outcome{Revoked: revoked, Events: []audit.Event{{
			Kind: audit.LoggedOut, UserID: userID, SessionID: sessionID, Origin: v.Origin,
		}}}, nil
	})
}

// ListSessions returns the caller's living sessions, or [ErrSessionNeeded].
func (g *Gate) ListSessions(ctx context.Context, who Caller) ([]session.Session, error) {
	if err := who.signedIn(); err != nil {
		return nil, err
	}
	return g.Sessions.List(ctx, string(who.User.ID))
}

// EndSession ends one of the caller's sessions, or returns [ErrSessionNeeded] or
// [session.ErrNotFound].
func (g *Gate) EndSession(ctx context.Context, who Caller, id session.ID, v *flow.Visit) error {
	return g.commitAs(ctx, who, func(ctx context.Context, _ user.User) (flow.Outcome, error) {
		o, err := g.endByUser(ctx, who, session.Which{ID: id, UserID: string(who.User.ID)}, session.ReasonRevoked, v)
		if err == nil && len(o.Revoked) == 0 {
			err = session.ErrNotFound
		}
		return o, err
	})
}

// EndSessions ends all of the caller's sessions, but for the caller's own if
// keepCurrent. It returns [ErrSessionNeeded].
func (g *Gate) EndSessions(ctx context.Context, who Caller, keepCurrent bool, v *flow.Visit) error {
	w := session.Which{UserID: string(who.User.ID)}
	if keepCurrent {
		w.Except = who.Session.ID
	}
	return g.commitAs(ctx, who, func(ctx context.Context, _ user.User) (flow.Outcome, error) {
		return g.endByUser(ctx, who, w, session.ReasonRevoked, v)
	})
}

func (g *Gate) endByUser(ctx context.Context, who Caller, w session.Which, why session.Reason, v *flow.Visit) (flow.Outcome, error) {
	revoked, err := g.end(ctx, w, why)
	return flow.Outcome{Revoked: revoked, Events: []audit.Event{{
		Kind: audit.SessionsEnded, UserID: string(who.User.ID), SessionID: string(who.Session.ID),
		Detail: fmt.Sprintf("%d ended", len(revoked)), Origin: v.Origin,
	}}}, err
}

// IdentityChange sets the names that are not nil; a pointer to "" removes one.
type IdentityChange struct {
	Username *string
	Email    *string
}

// ChangeIdentity renames the caller, whose current password is plain. It returns
// [ErrSessionNeeded], [ErrReauthentication], [user.ErrNoIdentity], [user.ErrIdentityTaken],
// [user.ErrInvalidUsername] or [user.ErrInvalidEmail].
func (g *Gate) ChangeIdentity(ctx context.Context, who Caller, want IdentityChange, plain string, v *flow.Visit) (user.User, error) {
	c, err := parseIdentity(want)
	if err != nil {
		return user.User{}, err
	}
	var renamed user.User
	err = g.confirmed(ctx, who, plain, v, func(a user.Authenticated) error {
		return g.commitAs(ctx, who, func(ctx context.Context, u user.User) (_ flow.Outcome, err error) {
			if err := g.stillOpens(ctx, a, u); err != nil {
				return flow.Outcome{}, err
			}
			renamed = u
			if c, err = rename(&renamed, c); err != nil {
				return flow.Outcome{}, err
			}
			if err := g.Users.Store.Update(ctx, renamed.ID, c); err != nil {
				return flow.Outcome{}, fmt.Errorf("gate: rename user: %w", err)
			}
			return flow.Outcome{Revoked: []revocation.Entry{g.Revocations.Changed(string(renamed.ID))}, Events: []audit.Event{{
				Kind: audit.IdentityChanged, UserID: string(renamed.ID), SessionID: string(who.Session.ID), Origin: v.Origin,
			}}}, nil
		})
	})
	return renamed, err
}

func parseIdentity(want IdentityChange) (user.Change, error) {
	var c user.Change
	var errName, errEmail error
	if want.Username != nil {
		c.Username = new(user.Username)
		if *want.Username != "" {
			*c.Username, errName = user.ParseUsername(*want.Username)
		}
	}
	if want.Email != nil {
		c.Email = new(user.Email)
		if *want.Email != "" {
			*c.Email, errEmail = user.ParseEmail(*want.Email)
		}
	}
	if c.Username != nil && c.Email != nil && *want.Username == "" && *want.Email == "" {
		return c, user.ErrNoIdentity
	}
	return c, errors.Join(errName, errEmail)
}

// rename applies c to u and returns the change to store. A new address is not
// verified, whatever the old one was.
func rename(u *user.User, c user.Change) (user.Change, error) {
	if c.Username != nil {
		u.Username = *c.Username
	}
	if c.Email != nil && *c.Email != u.Email {
		u.Email, u.EmailVerified = *c.Email, false
		c.EmailVerified = new(bool)
	}
	if u.Username == "" && u.Email == "" {
		return user.Change{}, user.ErrNoIdentity
	}
	return c, nil
}

// ChangePassword sets a new password and ends every other session of the
// caller. It returns [ErrSessionNeeded], [ErrReauthentication] or the errors of a
// new password.
func (g *Gate) ChangePassword(ctx context.Context, who Caller, current, next string, v *flow.Visit) error {
	if err := g.Users.CheckNew(who.User, next); err != nil {
		return err
	}
	return g.confirmed(ctx, who, current, v, func(a user.Authenticated) error {
		hash, err := g.Users.Rehash(ctx, who.User, next)
		if err != nil {
			return err
		}
		return g.commitAs(ctx, who, func(ctx context.Context, u user.User) (flow.Outcome, error) {
			if err := g.stillOpens(ctx, a, u); err != nil {
				return flow.Outcome{}, err
			}
			if err := g.Users.Store.Update(ctx, u.ID, user.Change{PasswordHash: &hash}); err != nil {
				return flow.Outcome{}, fmt.Errorf("gate: set password: %w", err)
			}
			w := session.Which{UserID: string(u.ID), Except: who.Session.ID}
			revoked, err := g.end(ctx, w, session.ReasonPassword)
			revoked = append(revoked, g.Revocations.Changed(string(u.ID)))
			return flow.Outcome{Revoked: revoked, Events: []audit.Event{{
				Kind: audit.PasswordChanged, UserID: string(u.ID), SessionID: string(who.Session.ID), Origin: v.Origin,
			}}}, err
		})
	})
}

// Close deletes the caller, whose current password is plain, with all that is
// theirs. It returns [ErrSessionNeeded] or [ErrReauthentication].
func (g *Gate) Close(ctx context.Context, who Caller, plain string, v *flow.Visit) error {
	return g.confirmed(ctx, who, plain, v, func(a user.Authenticated) error {
		return g.commitAs(ctx, who, func(ctx context.Context, u user.User) (flow.Outcome, error) {
			if err := g.stillOpens(ctx, a, u); err != nil {
				return flow.Outcome{}, err
			}
			revoked, err := g.end(ctx, session.Which{UserID: string(u.ID)}, session.ReasonClosed)
			if err != nil {
				return flow.Outcome{}, err
			}
			if err := g.Users.Store.Delete(ctx, u.ID); err != nil {
				return flow.Outcome{}, fmt.Errorf("gate: delete user: %w", err)
			}
			revoked = append(revoked, g.Gone(string(u.ID), u.TokensValidAfter))
			return flow.Outcome{Revoked: revoked, Events: []audit.Event{{
				Kind: audit.UserDeleted, UserID: string(a.User.ID), SessionID: string(who.Session.ID), Origin: v.Origin,
			}}}, nil
		})
	})
}

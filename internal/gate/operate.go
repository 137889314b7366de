package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// CreateUser creates a user on an operator's word, with roles, registration
// closed or not.
func (g *Gate) CreateUser(ctx context.Context, r Registration, roles []user.Role) (user.User, error) {
	draft, err := g.Users.Draft(r.Username, r.Email, r.Password)
	if err != nil {
		return user.User{}, err
	}
	return g.create(ctx, draft, roles, audit.UserCreated, audit.Origin{})
}

// Disable keeps the user out and ends all that the user holds, API keys
// included. It returns
// [user.ErrNotFound].
func (g *Gate) Disable(ctx context.Context, id user.ID) error {
	return g.change(ctx, id, audit.UserDisabled, "", func(ctx context.Context, u user.User, c *user.Change) ([]revocation.Entry, error) {
		disabled := true
		c.Disabled = &disabled
		border, entry := g.outdate(u)
		c.TokensValidAfter = &border
		if _, err := g.Keys.Store.DeleteAll(ctx, string(id)); err != nil {
			return nil, fmt.Errorf("gate: delete keys: %w", err)
		}
		revoked, err := g.end(ctx, session.Which{UserID: string(id)}, session.ReasonDisabled)
		return append(revoked, entry), err
	})
}

// Enable lets the user sign in again. What ended with disabling stays ended.
func (g *Gate) Enable(ctx context.Context, id user.ID) error {
	return g.change(ctx, id, audit.UserEnabled, "", func(_ context.Context, _ user.User, c *user.Change) ([]revocation.Entry, error) {
		c.Disabled = new(bool)
		return nil, nil
	})
}

// SetPassword sets the user's password on an operator's word, ends all of the
// user's sessions and, unless keepKeys, deletes the API keys: whoever got in may have
// made one for later.
func (g *Gate) SetPassword(ctx context.Context, id user.ID, plain string, keepKeys bool) error {
	u, err := g.Users.Store.ByID(ctx, id)
	if err != nil {
		return fmt.Errorf("gate: look up user: %w", err)
	}
	hash, err := g.Users.Rehash(ctx, u, plain)
	if err != nil {
		return err
	}
	detail := "API keys deleted"
	if keepKeys {
		detail = "API keys kept"
	}
	return g.change(ctx, id, audit.PasswordChanged, detail, func(ctx context.Context, _ user.User, c *user.Change) ([]revocation.Entry, error) {
		c.PasswordHash = &hash
		revoked, err := g.end(ctx, session.Which{UserID: string(id)}, session.ReasonPassword)
		if err == nil && !keepKeys {
			var keys []revocation.Entry
			keys, err = g.deleteKeys(ctx, id)
			revoked = append(revoked, keys...)
		}
		return append(revoked, g.Revocations.Changed(string(id))), err
	})
}

// deleteKeys deletes all API keys of the user, inside Commit.
func (g *Gate) deleteKeys(ctx context.Context, id user.ID) ([]revocation.Entry, error) {
	keys, err := g.Keys.Store.List(ctx, string(id))
	if err != nil {
		return nil, fmt.Errorf("gate: list keys: %w", err)
	}
	if _, err := g.Keys.Store.DeleteAll(ctx, string(id)); err != nil {
		return nil, fmt.Errorf("gate: delete keys: %w", err)
	}
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = string(k.ID)
	}
	return g.Revocations.Sessions(ids...), nil
}

// rolesTries is how often SetRoles is tried where a commit takes until its border.
const rolesTries = 3

// SetRoles replaces the user's roles. Access tokens with the old ones are
// refused from now on; refreshing brings one with the new. If it fails for a
// database that takes too long, the roles are replaced, and calling it again makes
// sure of the tokens. Each try is on record. Where a clock was ahead and was put right the
// user's sessions end, as the tokens that it dated cannot be told from others.
func (g *Gate) SetRoles(ctx context.Context, id user.ID, roles []user.Role) error {
	for range rolesTries {
		var border time.Time
		if err := g.change(ctx, id, audit.RolesChanged, strings.Join(user.RoleNames(roles), " "), func(ctx context.Context, u user.User, c *user.Change) ([]revocation.Entry, error) {
			var entry revocation.Entry
			border, entry = g.outdate(u)
			c.Roles, c.TokensValidAfter = &roles, &border
			return g.endAhead(ctx, id, entry)
		}); err != nil {
			return err
		}
		if g.Now().Before(border) {
			return nil
		}
		// A refresh may have read the old ones before they were committed, and dated its
		// token after the border.
	}
	return errors.New("gate: set roles: the database takes too long; tokens with the old ones may be about until they expire")
}

// endAhead returns entry, and ends the user's sessions if a clock was ahead: tokens that
// were minted by it are dated after a border of now, and would be good when their time comes.
func (g *Gate) endAhead(ctx context.Context, id user.ID, entry revocation.Entry) ([]revocation.Entry, error) {
	if !g.Revocations.Ahead() {
		return []revocation.Entry{entry}, nil
	}
	revoked, err := g.end(ctx, session.Which{UserID: string(id)}, session.ReasonEpoch)
	return append(revoked, entry), err
}

// endSlice is how many sessions BumpEpoch ends in one transaction: few enough that
// nobody waits long for it.
const endSlice = 1000

// BumpEpoch ends all access that is older than this moment, and has every
// verifier read the feed anew. It is for a database that was put back to an
// earlier state: what ended since then would live again, and what the feed told
// since then would be told under other numbers.
//
// Access tokens are over at once. The sessions follow in steps, of which each is
// told to progress with the number so far; until they are through, calling it
// again goes on. The last step takes the access tokens that sessions got meanwhile.
func (g *Gate) BumpEpoch(ctx context.Context, progress func(ended int)) error {
	now := g.Now().UTC()
	border := secondAfter(now)
	if err := g.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		return flow.Outcome{
			Revoked: []revocation.Entry{g.Revocations.All(border)}, Events: []audit.Event{{Kind: audit.EpochBumped}},
		}, g.Revocations.NextEpoch(ctx)
	}); err != nil {
		return err
	}
	for total := 0; ; {
		ended, err := g.Sessions.End(ctx, session.Which{Before: now, Limit: endSlice}, session.ReasonEpoch)
		if err != nil {
			return err
		}
		total += len(ended)
		progress(total)
		if len(ended) < endSlice {
			return g.endMeanwhile(ctx, border)
		}
	}
}

// endMeanwhile ends the access tokens that were issued since border.
func (g *Gate) endMeanwhile(ctx context.Context, border time.Time) error {
	last := secondAfter(g.Now().UTC())
	if !last.After(border) {
		return nil
	}
	return g.Commit(ctx, func(context.Context) (flow.Outcome, error) {
		return flow.Outcome{Revoked: []revocation.Entry{g.Revocations.All(last)}}, nil
	})
}

// secondAfter is the first whole second after now: tokens carry whole ones.
func secondAfter(now time.Time) time.Time { return now.Truncate(time.Second).Add(time.Second) }

// change updates one user in a transaction, with what act adds to it.
func (g *Gate) change(ctx context.Context, id user.ID, kind audit.Kind, detail string,
	act func(ctx context.Context, u user.User, c *user.Change) ([]revocation.Entry, error),
) error {
	return g.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		u, err := g.Users.Store.ByID(ctx, id)
		if err != nil {
			return flow.Outcome{}, fmt.Errorf("gate: look up user: %w", err)
		}
		var c user.Change
		revoked, err := act(ctx, u, &c)
		if err != nil {
			return flow.Outcome{}, err
		}
		if err := g.Users.Store.Update(ctx, id, c); err != nil {
			return flow.Outcome{}, fmt.Errorf("gate: change user: %w", err)
		}
		return flow.Outcome{Revoked: revoked, Events: []audit.Event{{Kind: kind, UserID: string(id), Detail: detail}}}, nil
	})
}

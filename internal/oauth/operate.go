package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/revocation"
)

// Registration is what a client is registered with. No audiences stand for that
// of first-party tokens.
type Registration struct {
	Name              string
	Scopes, Audiences []string
}

// Actor is who administers clients. The zero value is an operator.
type Actor struct {
	ID string // of the user or client, for the record
	// Good, if it is not nil, returns an error if the credential is good no more. It is
	// asked in the transaction: since the request was let in, it may have waited for its
	// body or for its turn to write.
	Good func(ctx context.Context) error
}

// commitAs is Commit for what actor does to the client named id, and does nothing once they
// may not. Clients are held in the order of their ids, so that two that act on each other
// wait for one another in turn.
func (o *OAuth) commitAs(ctx context.Context, actor Actor, id client.ID, act func(ctx context.Context) (flow.Outcome, error)) error {
	return o.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		if id < client.ID(actor.ID) {
			// That it is not there is told only to those who may know.
			if _, err := o.Clients.Store.ByID(ctx, id); err != nil && !errors.Is(err, client.ErrNotFound) {
				return flow.Outcome{}, fmt.Errorf("oauth: hold client: %w", err)
			}
		}
		if actor.Good != nil {
			if err := actor.Good(ctx); err != nil {
				return flow.Outcome{}, err
			}
		}
		return act(ctx)
	})
}

// Create registers a client and returns it with its secret, which is kept
// nowhere. It returns the errors of [client.Service.Draft].
func (o *OAuth) Create(ctx context.Context, actor Actor, r Registration, v *flow.Visit) (client.Client, string, error) {
	c, secret, err := o.Clients.Draft(r.Name, r.Scopes, r.Audiences)
	if err != nil {
		return client.Client{}, "", err
	}
	return c, secret, o.Register(ctx, actor, c, v)
}

// Register registers c, which [client.Service.Draft] made.
func (o *OAuth) Register(ctx context.Context, actor Actor, c client.Client, v *flow.Visit) error {
	return o.commitAs(ctx, actor, c.ID, func(ctx context.Context) (flow.Outcome, error) {
		if err := o.Clients.Store.Create(ctx, c); err != nil {
			return flow.Outcome{}, fmt.Errorf("oauth: insert client: %w", err)
		}
		return event(audit.ClientCreated, actor.ID, c.ID, v), nil
	})
}

// RotateSecret gives the client a new secret and returns it. The old one goes on
// for overlap. Without one it was lost to somebody, so that the access tokens
// that it brought end with it. It returns [client.ErrNotFound] or
// [client.ErrInvalidOverlap].
func (o *OAuth) RotateSecret(ctx context.Context, actor Actor, id client.ID, overlap time.Duration, v *flow.Visit) (c client.Client, secret string, err error) {
	err = o.commitAs(ctx, actor, id, func(ctx context.Context) (flow.Outcome, error) {
		if c, err = o.Clients.Store.ByID(ctx, id); err != nil {
			return flow.Outcome{}, fmt.Errorf("oauth: look up client: %w", err)
		}
		if c, secret, err = o.Clients.Rotate(c, overlap); err != nil {
			return flow.Outcome{}, err
		}
		done := event(audit.ClientRotated, actor.ID, id, v)
		if overlap == 0 {
			var entry revocation.Entry
			c.TokensValidAfter, entry = o.outdate(c)
			done.Revoked = []revocation.Entry{entry}
		}
		if err := o.Clients.Store.SetSecret(ctx, c); err != nil {
			return flow.Outcome{}, fmt.Errorf("oauth: set secret: %w", err)
		}
		return done, nil
	})
	return c, secret, err
}

// Delete ends the client and its access tokens at once, or returns
// [client.ErrNotFound].
func (o *OAuth) Delete(ctx context.Context, actor Actor, id client.ID, v *flow.Visit) error {
	return o.commitAs(ctx, actor, id, func(ctx context.Context) (flow.Outcome, error) {
		c, err := o.Clients.Store.ByID(ctx, id) // from here on it gets no token
		if err != nil {
			return flow.Outcome{}, fmt.Errorf("oauth: look up client: %w", err)
		}
		if err := o.Clients.Store.Delete(ctx, id); err != nil {
			return flow.Outcome{}, fmt.Errorf("oauth: delete client: %w", err)
		}
		done := event(audit.ClientDeleted, actor.ID, id, v)
		done.Revoked = []revocation.Entry{o.Gone(string(id), c.TokensValidAfter)}
		return done, nil
	})
}

// outdate returns the border from which on tokens of c are good again, and the
// feed's entry for it.
func (o *OAuth) outdate(c client.Client) (time.Time, revocation.Entry) {
	return o.Outdate(string(c.ID), c.TokensValidAfter)
}

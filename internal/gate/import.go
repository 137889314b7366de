package gate

import (
	"context"
	"errors"
	"fmt"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/user"
)

// ErrAlreadyImported is a user whose external id is here already.
var ErrAlreadyImported = errors.New("gate: imported before")

// errRehearsed rolls a rehearsal back.
var errRehearsed = errors.New("gate: rehearsed")

// ImportUser stores a user of another system on an operator's word, registration
// closed or not. A rehearsal does the same and takes it back, so that it meets
// all that the act itself would meet, but for what the users before it in the
// same import would have left behind.
//
// It returns [ErrAlreadyImported], whatever became of the user since,
// [user.ErrIdentityTaken], or the errors of [user.Service.Import].
func (g *Gate) ImportUser(ctx context.Context, i user.Import, rehearse bool) (user.User, error) {
	u, err := g.Users.Import(i)
	if err != nil {
		return user.User{}, err
	}
	err = g.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		_, err := g.Users.Store.ByExternalID(ctx, u.ExternalID)
		switch {
		case err == nil:
			return flow.Outcome{}, ErrAlreadyImported
		case !errors.Is(err, user.ErrNotFound):
			return flow.Outcome{}, fmt.Errorf("gate: look for imported user: %w", err)
		}
		if err := g.Users.Store.Create(ctx, u); err != nil {
			return flow.Outcome{}, fmt.Errorf("gate: import user: %w", err)
		}
		if rehearse {
			return flow.Outcome{}, errRehearsed
		}
		return flow.Outcome{Events: []audit.Event{{Kind: audit.UserImported, UserID: string(u.ID), Detail: string(u.ExternalID)}}}, nil
	})
	if err != nil && !errors.Is(err, errRehearsed) {
		return user.User{}, err
	}
	return u, nil
}

package gate

import (
	"context"
	"errors"
	"fmt"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/telemetry"
	"github.com/jotgate/jotgate/internal/user"
)

// Registration is what somebody registers with; empty strings are absent.
type Registration struct {
	Username string
	Email    string
	Password string
}

// Register creates a user without roles. It returns [ErrRegistrationClosed], a
// [*flow.LimitedError], [user.ErrIdentityTaken], or the errors of [user.Service.Draft].
func (g *Gate) Register(ctx context.Context, r Registration, v *flow.Visit) (user.User, error) {
	u, err := g.register(ctx, r, v)
	g.Metrics.Registration(registrationOutcome(err))
	return u, err
}

func (g *Gate) register(ctx context.Context, r Registration, v *flow.Visit) (user.User, error) {
	draft, err := g.Users.Draft(r.Username, r.Email, r.Password)
	if err != nil {
		return user.User{}, &draftError{err}
	}
	if g.Closed {
		return user.User{}, ErrRegistrationClosed
	}
	if err := g.take(ctx, g.Limits.Registration, v.AddressKey, v); err != nil {
		return user.User{}, err
	}
	return g.create(ctx, draft, nil, audit.Registered, v.Origin)
}

func (g *Gate) create(ctx context.Context, d user.Draft, roles []user.Role, kind audit.Kind, from audit.Origin) (user.User, error) {
	u, err := g.Users.New(ctx, d, roles)
	if err != nil {
		return user.User{}, err
	}
	err = g.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		if err := g.Users.Store.Create(ctx, u); err != nil {
			return flow.Outcome{}, fmt.Errorf("gate: create user: %w", err)
		}
		return flow.Outcome{Events: []audit.Event{{Kind: kind, UserID: string(u.ID), Origin: from}}}, nil
	})
	if err != nil {
		return user.User{}, err
	}
	return u, nil
}

// Credentials is what somebody signs in with.
type Credentials struct {
	Identifier string
	Password   string
	Mode       session.Mode
	Device     string
}

// Login opens a session for the user whom the credentials open. It returns a
// [*flow.LimitedError], a [*user.TooManyAttemptsError], [password.ErrOverloaded], or
// [user.ErrBadCredentials], which does not tell what was wrong.
func (g *Gate) Login(ctx context.Context, c Credentials, v *flow.Visit) (Tokens, error) {
	t, err := g.login(ctx, c, v)
	g.Metrics.Login(loginOutcome(err))
	return t, err
}

func (g *Gate) login(ctx context.Context, c Credentials, v *flow.Visit) (Tokens, error) {
	if err := g.take(ctx, g.Limits.Login, v.AddressKey, v); err != nil {
		return Tokens{}, err
	}
	var t Tokens
	a, err := g.Users.Authenticate(ctx, c.Identifier, c.Password)
	if err == nil {
		t, err = g.enter(ctx, a, c, v)
	}
	if errors.Is(err, errRenewed) {
		if a, err = g.Users.AuthenticateAgain(ctx, a, c.Password); err == nil {
			t, err = g.enter(ctx, a, c, v)
		}
	}
	return t, g.refuseLogin(ctx, a, err, v)
}

// refuseLogin puts a wrong password on record, and returns err.
func (g *Gate) refuseLogin(ctx context.Context, a user.Authenticated, err error, v *flow.Visit) error {
	if !errors.Is(err, user.ErrBadCredentials) {
		return err
	}
	return g.Refuse(ctx, audit.Event{Kind: audit.LoginRefused, UserID: string(a.User.ID), Origin: v.Origin}, err)
}

// errRenewed is a password that was right, and whose outdated hash somebody else
// has replaced in the meantime: most likely a login of the same user, which met
// this one and renewed the hash. Looking again tells.
var errRenewed = fmt.Errorf("gate: the hash was renewed meanwhile: %w", user.ErrBadCredentials)

// enter opens a session for a, if what was right a moment ago still is.
func (g *Gate) enter(ctx context.Context, a user.Authenticated, c Credentials, v *flow.Visit) (Tokens, error) {
	now := g.Now().UTC()
	var opened session.Session
	var u user.User
	err := g.Commit(ctx, func(ctx context.Context) (_ flow.Outcome, err error) {
		u, err = g.Users.Store.ByID(ctx, a.User.ID)
		if errors.Is(err, user.ErrNotFound) {
			return flow.Outcome{}, user.ErrBadCredentials
		}
		if err != nil {
			return flow.Outcome{}, fmt.Errorf("gate: look at user again: %w", err)
		}
		if err := g.stillOpens(ctx, a, u); err != nil {
			return flow.Outcome{}, err
		}
		opened, err = g.Sessions.Open(ctx, session.Opening{
			UserID: string(u.ID), Mode: c.Mode, Device: c.Device, IP: v.IP, UserAgent: v.UserAgent,
		})
		if err != nil {
			return flow.Outcome{}, err
		}
		return g.welcome(ctx, opened, v)
	})
	if err != nil {
		return Tokens{}, err
	}
	return g.issue(opened, u, now)
}

// welcome puts a new session on record, and ends those of its user that give way to it.
func (g *Gate) welcome(ctx context.Context, opened session.Session, v *flow.Visit) (flow.Outcome, error) {
	revoked, err := g.end(ctx, session.Crowded(opened), session.ReasonCrowded)
	events := []audit.Event{{Kind: audit.LoggedIn, UserID: opened.UserID, SessionID: string(opened.ID), Origin: v.Origin}}
	if len(revoked) > 0 {
		events = append(events, audit.Event{
			Kind: audit.SessionsEnded, UserID: opened.UserID, SessionID: string(opened.ID),
			Detail: fmt.Sprintf("%d ended: more than %d", len(revoked), session.MaxPerUser), Origin: v.Origin,
		})
	}
	return flow.Outcome{Revoked: revoked, Events: events}, err
}

// stillOpens returns [user.ErrBadCredentials], or errRenewed, unless the password of a is
// that of u too, who was looked at now that nobody else can change them: it may have been
// changed, or the user disabled, while the hash ran. If it is, stillOpens stores the stronger
// hash that a may bring, and forgets the wrong attempts.
func (g *Gate) stillOpens(ctx context.Context, a user.Authenticated, u user.User) error {
	if u.Disabled || u.PasswordHash != a.User.PasswordHash {
		if !u.Disabled && a.Rehashed != "" {
			return errRenewed
		}
		return user.ErrBadCredentials
	}
	if a.Rehashed != "" {
		if err := g.Users.Store.Update(ctx, u.ID, user.Change{PasswordHash: &a.Rehashed}); err != nil {
			return fmt.Errorf("gate: store stronger hash: %w", err)
		}
	}
	return g.Users.Succeeded(ctx, a)
}

// confirmed has act do what takes the current password of a signed-in user, which is
// plain. act returns what [Gate.stillOpens] does if that is not so any more.
func (g *Gate) confirmed(ctx context.Context, who Caller, plain string, v *flow.Visit, act func(user.Authenticated) error) error {
	if err := who.signedIn(); err != nil {
		return err
	}
	if err := g.take(ctx, g.Limits.Password, string(who.User.ID), v); err != nil {
		return err
	}
	a, err := g.Users.Confirm(ctx, who.User.ID, plain)
	if errors.Is(err, user.ErrNotFound) {
		return session.ErrEnded // with the user
	}
	if err == nil {
		err = act(a)
	}
	if errors.Is(err, errRenewed) {
		if a, err = g.Users.AuthenticateAgain(ctx, a, plain); err == nil {
			err = act(a)
		}
	}
	if errors.Is(err, user.ErrBadCredentials) {
		return g.refuseConfirming(ctx, who, v)
	}
	return err
}

// refuseConfirming puts a wrong current password on record, unless there is nobody left
// whose it could be: a user who is gone or disabled has no right one, and a session that
// is over is asked for none.
func (g *Gate) refuseConfirming(ctx context.Context, who Caller, v *flow.Visit) error {
	err := g.commitAs(ctx, who, func(_ context.Context, u user.User) (flow.Outcome, error) {
		return flow.Outcome{Events: []audit.Event{{
			Kind: audit.PasswordRefused, UserID: string(u.ID), SessionID: string(who.Session.ID), Origin: v.Origin,
		}}}, nil
	})
	if err != nil {
		return err
	}
	return ErrReauthentication
}

// draftError marks what is wrong with a registration itself, and says nothing.
type draftError struct{ error }

// Unwrap returns what is wrong.
func (e *draftError) Unwrap() error { return e.error }

func registrationOutcome(err error) telemetry.RegistrationOutcome {
	switch {
	case err == nil:
		return telemetry.RegistrationOK
	case errors.Is(err, ErrRegistrationClosed):
		return telemetry.RegistrationClosed
	case errors.Is(err, user.ErrIdentityTaken):
		return telemetry.RegistrationTaken
	case errors.Is(err, password.ErrOverloaded):
		return telemetry.RegistrationOverloaded
	}
	if _, ok := errors.AsType[*draftError](err); ok {
		return telemetry.RegistrationInvalid
	}
	if _, ok := errors.AsType[*flow.LimitedError](err); ok {
		return telemetry.RegistrationRateLimited
	}
	return telemetry.RegistrationError
}

func loginOutcome(err error) telemetry.LoginOutcome {
	switch {
	case err == nil:
		return telemetry.LoginOK
	case errors.Is(err, user.ErrBadCredentials):
		return telemetry.LoginBadCredentials
	case errors.Is(err, password.ErrOverloaded):
		return telemetry.LoginOverloaded
	}
	if _, ok := errors.AsType[*flow.LimitedError](err); ok {
		return telemetry.LoginRateLimited
	}
	if _, ok := errors.AsType[*user.TooManyAttemptsError](err); ok {
		return telemetry.LoginRateLimited
	}
	return telemetry.LoginError
}

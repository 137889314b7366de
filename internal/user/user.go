// Package user owns the people who can sign in: the names they go by, whether
// they may enter, and the only path on which a password is ever checked.
//
// It speaks no HTTP, no JWT and no SQL, and it knows nothing of sessions: who
// must be signed out after a change is a flow's business. What it needs from a
// database it states as [Store] and [Attempts]; package store provides both,
// and storetest says how they must behave.
package user

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors a caller can act on. Anything else these methods return is a fault of
// the machinery, wrapped for the log and never shown to a client.
var (
	ErrNotFound        = errors.New("user: not found")
	ErrIdentityTaken   = errors.New("user: username or email already registered")
	ErrNoIdentity      = errors.New("user: a username or an email is needed")
	ErrInvalidUsername = errors.New("user: not a username: one is 3 to 64 of a-z, 0-9, dot, underscore and hyphen")
	ErrInvalidEmail    = errors.New("user: not an email address: one is a plain ASCII address of at most 254 bytes")
	ErrInvalidRole     = errors.New("user: not a role: one is 1 to 64 of a-z, 0-9, colon, dot, underscore and hyphen")
	ErrInvalidExternal = errors.New("user: not an external id")
	ErrBadCredentials  = errors.New("user: identifier or password is wrong")
)

// TooManyAttemptsError is a password that was not looked at, because too many
// wrong ones came before it.
type TooManyAttemptsError struct {
	Allowance Allowance // what they were counted against
	// RetryAfter is when the next attempt will be looked at.
	RetryAfter time.Duration
}

func (e *TooManyAttemptsError) Error() string {
	return fmt.Sprintf("user: too many wrong passwords, next try in %s", e.RetryAfter)
}

// ID identifies a user. It is opaque and never reused.
type ID string

// User is a person who can sign in.
type User struct {
	ID       ID
	Username Username // empty if there is none
	Email    Email    // empty if there is none
	// EmailVerified tells that the owner of Email has proved to be this user.
	EmailVerified bool
	Roles         []Role
	// ExternalID is whom another system knew this user as; empty if none did.
	ExternalID ExternalID
	// PasswordHash is what [password.Hasher.Verify] takes, or empty for a user
	// whom no password opens.
	PasswordHash string
	Disabled     bool
	CreatedAt    time.Time
	// TokensValidAfter is the second from which on access tokens of this user
	// may have been issued; older ones carry what is no longer true of the user.
	TokensValidAfter time.Time
}

// Change names what an update sets; nil fields stay as they are.
type Change struct {
	Username         *Username // a pointer to "" removes the username
	Email            *Email    // a pointer to "" removes the email
	EmailVerified    *bool
	Roles            *[]Role
	PasswordHash     *string
	Disabled         *bool
	TokensValidAfter *time.Time
}

// Store keeps users. Its methods join the transaction that ctx carries, if any.
type Store interface { //nolint:interfacebloat // one for each way to a user; a second interface would hide the seventh
	// Create returns [ErrIdentityTaken] if the username, the email or the external
	// id is registered.
	Create(ctx context.Context, u User) error
	// ByID returns [ErrNotFound] if there is no such user. Inside a transaction
	// nobody else changes the user until it ends.
	ByID(ctx context.Context, id ID) (User, error)
	// ByIdentifier returns [ErrNotFound] if there is no such user.
	ByIdentifier(ctx context.Context, i Identifier) (User, error)
	// ByExternalID returns [ErrNotFound] if there is no such user.
	ByExternalID(ctx context.Context, x ExternalID) (User, error)
	// List returns at most limit users with an id above after, in order of id.
	List(ctx context.Context, after ID, limit int) ([]User, error)
	// Update returns [ErrNotFound], or [ErrIdentityTaken].
	Update(ctx context.Context, id ID, c Change) error
	// Delete removes the user and all that belongs to them, or returns [ErrNotFound].
	Delete(ctx context.Context, id ID) error
}

// Allowance is how many wrong passwords one bucket may spend: Burst at once,
// then one each Recovery.
type Allowance struct {
	Burst    int
	Recovery time.Duration
}

// Attempts counts password attempts in the database, so that neither a restart
// nor another replica forgets them.
type Attempts interface {
	// Charge spends one attempt from bucket and returns 0, or spends nothing and
	// returns how long to wait for the next one. It is atomic: of any number of
	// concurrent calls no more are charged than a allows (GCRA).
	Charge(ctx context.Context, bucket string, a Allowance, now time.Time) (wait time.Duration, err error)
	// Clear gives buckets their full allowance back.
	Clear(ctx context.Context, buckets ...string) error
}

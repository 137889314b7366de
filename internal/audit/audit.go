// Package audit owns the record of security events: who did what, from where,
// and how it ended. The record is append-only, and an event is written in the
// transaction of what it tells of, so that neither is ever there without the
// other.
//
// It holds ids and no names, and never a secret.
package audit

import (
	"context"
	"time"
)

// Kind is what happened.
type Kind string

// The kinds of events.
const (
	Registered      Kind = "user.registered"
	LoggedIn        Kind = "login.succeeded"
	LoginRefused    Kind = "login.refused"
	LoggedOut       Kind = "session.logout"
	SessionsEnded   Kind = "session.ended"
	RefreshReused   Kind = "refresh.reused"
	RefreshAhead    Kind = "refresh.ahead"
	IdentityChanged Kind = "user.identity_changed"
	PasswordChanged Kind = "user.password_changed"
	PasswordRefused Kind = "user.password_refused"
	UserCreated     Kind = "user.created"
	UserImported    Kind = "user.imported"
	UserDisabled    Kind = "user.disabled"
	UserEnabled     Kind = "user.enabled"
	RolesChanged    Kind = "user.roles_changed"
	UserDeleted     Kind = "user.deleted"
	KeyImported     Kind = "key.imported"
	EpochBumped     Kind = "installation.epoch_bumped"
	APIKeyCreated   Kind = "api_key.created" // Detail is the key's id
	APIKeyDeleted   Kind = "api_key.deleted"
	ClientCreated   Kind = "client.created" // Detail is the client's id
	ClientRotated   Kind = "client.secret_rotated"
	ClientDeleted   Kind = "client.deleted"
	ClientToken     Kind = "client.token_issued"
	ClientRevoked   Kind = "client.token_revoked"
)

// Origin is where a request comes from. The zero Origin is the operator's own
// command line.
type Origin struct {
	IP        string
	UserAgent string
	RequestID string
}

// Event is one thing that happened.
type Event struct {
	At        time.Time
	Kind      Kind
	UserID    string // whom it concerns, or empty if that is nobody known
	SessionID string // the session it concerns or came through, or empty
	Detail    string // a short word or number that the kind gives a meaning to
	Origin    Origin
}

// Store keeps events. Its methods join the transaction that ctx carries, if any.
type Store interface { //nolint:iface // flows use it, and store provides it
	Append(ctx context.Context, e Event) error
	// Prune deletes at most limit events from before t and returns how many.
	Prune(ctx context.Context, t time.Time, limit int) (int, error)
}

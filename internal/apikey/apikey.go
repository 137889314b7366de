// Package apikey owns the long-lived credentials of programs that act for a
// user: what a key may do, until when, and the only path on which one is looked
// up.
//
// It speaks no HTTP and knows users by id only. What it needs from a database it
// states as [Store].
package apikey

import (
	"context"
	"errors"
	"time"
)

// Errors a caller can act on.
var (
	// ErrNotFound is a key that is not there, or is somebody else's.
	ErrNotFound = errors.New("apikey: not found")
	// ErrInvalid is what opens nothing: no key, a mistyped, expired or deleted one.
	ErrInvalid = errors.New("apikey: not a valid key")
	// ErrTooMany is a user who has as many keys as a user may have.
	ErrTooMany = errors.New("apikey: too many keys")
	// ErrInvalidName is a name that is empty, too long or not printable.
	ErrInvalidName = errors.New("apikey: not a name")
	// ErrInvalidLife is a life that is not within the bounds.
	ErrInvalidLife = errors.New("apikey: not a life")
)

// Prefix is what every key begins with.
const Prefix = "jg_"

const (
	// MaxPerUser is how many keys a user may have. One that has expired gives way to a new one.
	MaxPerUser = 100
	// MinLife is the shortest life of a key that expires.
	MinLife = time.Second
	// MaxLife is the longest one, some ten years.
	MaxLife = 10 * 365 * 24 * time.Hour
)

// ID identifies a key. It is opaque, no secret, and never reused.
type ID string

// Key is a key without its secret.
type Key struct {
	ID         ID
	UserID     string
	Name       string
	Scopes     []string // sorted
	Hint       string   // how the key begins
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero for one that does not expire
	LastUsedAt time.Time // zero for one that was not used; up to a minute old
}

// Over reports whether the key has expired.
func (k Key) Over(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }

// Store keeps keys. Its methods join the transaction that ctx carries, if any.
type Store interface {
	// Create stores k under the hash of its secret.
	Create(ctx context.Context, k Key, hash string) error
	// ByHash returns [ErrNotFound] if no key has that hash.
	ByHash(ctx context.Context, hash string) (Key, error)
	// List returns all keys of the user, the newest first.
	List(ctx context.Context, userID string) ([]Key, error)
	// Delete deletes a key of the user, or returns [ErrNotFound].
	Delete(ctx context.Context, id ID, userID string) error
	// DeleteAll deletes all keys of the user and returns how many there were.
	DeleteAll(ctx context.Context, userID string) (int, error)
	// Touch sets when a key was last used, unless it was used after since.
	Touch(ctx context.Context, id ID, at, since time.Time) error
}

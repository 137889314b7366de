// Package client owns the OAuth 2 clients that are registered here: programs
// with an account of their own (RFC 6749, section 2), which prove who they are
// by a secret.
//
// It speaks no HTTP and knows no tokens. What it needs from a database it states
// as [Store].
package client

import (
	"context"
	"errors"
	"time"
)

// Errors a caller can act on.
var (
	// ErrNotFound is a client that is not there.
	ErrNotFound = errors.New("client: not found")
	// ErrUnauthenticated is an id and a secret that do not belong together.
	ErrUnauthenticated = errors.New("client: not authenticated")
	// ErrInvalidName is a name that is empty, too long or not printable.
	ErrInvalidName = errors.New("client: not a name: one is 1 to 128 printable characters")
	// ErrInvalidAudience is an audience that is neither the service's own nor a URI, or
	// too many of them.
	ErrInvalidAudience = errors.New("client: not a list of audiences: one is the service's own or an absolute URI without a fragment, and there are at most 16")
	// ErrInvalidOverlap is an overlap that is negative or too long.
	ErrInvalidOverlap = errors.New("client: not an overlap: one is 0s to 720h")
)

const (
	idPrefix     = "client-" // keeps the ids of clients apart from those of users
	secretPrefix = "jgs_"
	// MaxAudiences is how many audiences a client has at most.
	MaxAudiences = 16
	// MaxOverlap is how long an old secret may go on beside the new one.
	MaxOverlap = 30 * 24 * time.Hour
)

// ID identifies a client: its client_id. It is opaque and never reused.
type ID string

// Client is a registered program.
type Client struct {
	ID        ID
	Name      string
	Scopes    []string // what it may ask for, sorted
	Audiences []string // whom its tokens may be for; the first one is the default
	CreatedAt time.Time
	// SecretHash is of the secret. PreviousHash is of the one before, which goes on
	// until PreviousUntil, if that is not zero.
	SecretHash    string
	PreviousHash  string
	PreviousUntil time.Time
	// TokensValidAfter is the second from which on access tokens of this client may
	// have been issued.
	TokensValidAfter time.Time
}

// Store keeps clients. Its methods join the transaction that ctx carries, if any.
type Store interface {
	Create(ctx context.Context, c Client) error
	// ByID returns [ErrNotFound] if there is no such client. Inside a transaction
	// nobody else changes the client until it ends.
	ByID(ctx context.Context, id ID) (Client, error)
	// List returns at most limit clients with an id above after, in order of id.
	List(ctx context.Context, after ID, limit int) ([]Client, error)
	// SetSecret replaces the secrets and TokensValidAfter by those of c, or returns
	// [ErrNotFound].
	SetSecret(ctx context.Context, c Client) error
	// Delete returns [ErrNotFound] if there is no such client.
	Delete(ctx context.Context, id ID) error
}
